//! Who may see the console.

use super::super::answer::Refusal;
use super::super::request_id::RequestId;
use super::PATH;
use crate::config::Password;
use crate::server::hub::Hub;
use crate::server::now_ms;
use crate::server::refusals::{RefusalKind, Refused};
use base64ct::{Base64, Encoding as _};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::net::IpAddr;

/// The one user.
const USER: &str = "admin";

/// The cookie of who has given the password. It opens nothing, but its bearer can give the password even while
/// others guess.
const COOKIE_NAME: &str = "tidings_console";

/// What a page of another origin cannot send along.
const MARK: HeaderName = HeaderName::from_static("x-tidings-console");

/// How somebody has come in.
#[derive(Debug)]
pub(super) enum Entered {
    /// None is needed on a machine of one's own.
    WithoutPassword,
    /// With the cookie to set, unless it is there.
    ByPassword(Option<HeaderValue>),
}

/// Lets in who may see the console.
///
/// # Errors
///
/// 404 when there is no console, 401 without the password, 429 while too many have guessed at it, 403 when dev
/// mode is asked by another name than this machine's.
pub(super) fn enter(hub: &Hub, headers: &HeaderMap, id: &RequestId) -> Result<Entered, Refusal> {
    let config = hub.config();
    let Some(password) = &config.console_password else {
        if hub.faults().is_none() {
            return Err(Refusal::not_found(
                "the console is off: set console_password (TIDINGS_CONSOLE_PASSWORD, --console-password \
                 or in the file), or start with --dev on your own machine",
            ));
        }
        return check_host(headers).map(|()| Entered::WithoutPassword);
    };
    let known = cookies(headers).any(|cookie| hub.attempts().is_mark(cookie));
    if !known && !hub.attempts().are_open(now_ms()) {
        return Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many wrong passwords for the console: try again in a minute",
        ));
    }
    let Some(credentials) = headers.get(AUTHORIZATION) else {
        return Err(Refusal::unauthorised(
            "the console needs a password: the user is admin, the password is the server's console_password",
        ));
    };
    if !is_right(password, credentials) {
        hub.attempts().note_wrong(now_ms());
        tracing::warn!("wrong password for the console");
        return Err(noted(
            hub,
            id,
            Refusal::unauthorised(
                "this is not the password of the console: the user is admin, the password is the \
                 server's console_password",
            ),
        ));
    }
    Ok(Entered::ByPassword(if known { None } else { cookie(hub) }))
}

/// A refusal that an operator should see.
fn noted(hub: &Hub, id: &RequestId, refusal: Refusal) -> Refusal {
    let refused = Refused::new(RefusalKind::Http, refusal.status().as_u16(), refusal.text());
    let request_id = Some(id.as_str());
    hub.refused(None, Refused { path: Some(PATH), request_id, ..refused });
    refusal
}

/// Whether these are the credentials, in time that does not depend on how wrong they are.
fn is_right(password: &Password, credentials: &HeaderValue) -> bool {
    let given = credentials.to_str().ok().and_then(|text| {
        let (scheme, encoded) = text.split_once(' ')?;
        let decoded = Base64::decode_vec(encoded.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        scheme.eq_ignore_ascii_case("basic").then_some(decoded)
    });
    let Some((user, given)) = given.as_deref().and_then(|given| given.split_once(':')) else {
        return false;
    };
    password.is(given) & (user == USER)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })
}

fn cookie(hub: &Hub) -> Option<HeaderValue> {
    let mark = hub.attempts().mark()?;
    let config = hub.config();
    let prefix = &config.path_prefix;
    let text = format!("{COOKIE_NAME}={mark}; Path={prefix}{PATH}; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// Checks that a request without a password names this machine: a name of somebody else's that points here
/// would let a foreign page ask.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = host(headers);
    let name = host.as_ref().map(|host| host.host().trim_matches(['[', ']']));
    let here = name.is_some_and(|name| {
        let address = name.parse::<IpAddr>();
        address.map_or_else(
            |_| name.eq_ignore_ascii_case("localhost") || name.ends_with(".localhost"),
            |address| address.is_loopback(),
        )
    });
    if here {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "without a password the console answers by the name localhost or a loopback address only: open it by \
         such a one, or set console_password",
    ))
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}

/// Checks that a request that changes something comes from the console's own page.
pub(super) fn check_origin(hub: &Hub, headers: &HeaderMap, id: &RequestId) -> Result<(), Refusal> {
    is_own(headers).map_err(|reason| noted(hub, id, Refusal::forbidden(reason)))
}

fn is_own(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.get(MARK).is_none_or(|mark| mark != "1") {
        return Err("the header `X-Tidings-Console: 1` is missing: use the console's page");
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let origin = origin.and_then(|origin| {
        let (scheme, authority) = origin.split_once("://")?;
        Some((scheme, authority.parse::<Authority>().ok()?))
    });
    let same = origin.zip(host(headers)).is_some_and(|((scheme, origin), host)| {
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
        origin.host().eq_ignore_ascii_case(host.host()) && port(&origin) == port(&host)
    });
    if same {
        return Ok(());
    }
    Err(
        "the request does not come from the console's page: its Origin is not the Host that it was sent \
         to (a proxy has to pass on the header Host)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_of_this_machine_need_no_password() {
        let check = |host| check_host(&headers(&[(HOST, host)])).is_ok();
        for host in ["localhost:6001", "LOCALHOST", "127.0.0.1:1", "[::1]:80", "a.localhost"] {
            assert!(check(host), "{host}");
        }
        for host in ["evil.example:6001", "localhost.evil.example", "10.0.0.1", "0.0.0.0", ""] {
            assert!(!check(host), "{host}");
        }
        assert!(check_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn only_the_own_page_changes_something() {
        let check = |mark, origin, host| {
            is_own(&headers(&[(MARK, mark), (ORIGIN, origin), (HOST, host)])).is_ok()
        };
        assert!(check("1", "http://a:6001", "a:6001"));
        assert!(check("1", "https://ops.example", "ops.example"));
        assert!(check("1", "https://ops.example", "ops.example:443"));
        assert!(!check("0", "http://a:6001", "a:6001"));
        assert!(!check("1", "http://b:6001", "a:6001"));
        assert!(!check("1", "http://a:6002", "a:6001"));
        assert!(!check("1", "null", "a:6001"));
        assert!(is_own(&headers(&[(MARK, "1"), (HOST, "a")])).is_err());
        assert!(is_own(&headers(&[(ORIGIN, "http://a"), (HOST, "a")])).is_err());
    }

    #[test]
    fn credentials_are_those_of_the_one_user() {
        let password = Password::from("pass:word");
        let right = |text: &str| is_right(&password, &text.parse().unwrap());
        let basic = |text: &str| format!("Basic {}", Base64::encode_string(text.as_bytes()));
        assert!(right(&basic("admin:pass:word")));
        assert!(right(&basic("admin:pass:word").replace("Basic", "basic")));
        for other in ["admin:", "admin:pass", "root:pass:word", "admin", ":pass:word"] {
            assert!(!right(&basic(other)), "{other}");
        }
        assert!(!right("Bearer x") && !right("Basic") && !right("Basic %%%"));
    }
}
