//! Apps behind an HTTP endpoint: `{"apps": [{"id": …, "key": …, "secret": …}, …]}`, or the list alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use serde_json::Value;

use super::{Found, PATIENCE, record};
use crate::config::SecretText;
use crate::outbound::Tls;
use crate::outbound::http::{HttpAnswer, HttpClient, HttpFailure};
use crate::server::AppName;

/// Bytes of an answer: some 100,000 apps.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Connections that are kept for the next question.
const IDLE: usize = 4;

pub(super) struct Endpoint {
    client: HttpClient,
    uri: Uri,
    authorization: Option<HeaderValue>,
    /// What names the state that was read last.
    etag: Mutex<Option<HeaderValue>>,
}

impl Endpoint {
    pub(super) fn new(url: &str, token: Option<&SecretText>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("the URL is wrong: {error}"))?;
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("the URL must hold no password: set `apps_token`".to_owned());
        }
        let tls = match uri.scheme_str() {
            Some("https") => Some(Tls::system().map_err(|error| error.to_string())?),
            _ => None,
        };
        let bearer = |token: &SecretText| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.0)).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let authorization = token.map(|token| {
            bearer(token).ok_or("`apps_token` holds a character that no header may hold")
        });
        let authorization = authorization.transpose()?;
        Ok(Self {
            client: HttpClient::new(tls.as_ref(), CONNECT, IDLE),
            uri,
            authorization,
            etag: Mutex::default(),
        })
    }

    /// Reads all apps; `None` when nothing has changed since the last time.
    pub(super) async fn read(&self) -> Result<Option<Found>, String> {
        let etag = self.etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = self.ask(self.uri.clone(), etag).await?;
        match answer.status {
            StatusCode::NOT_MODIFIED => return Ok(None),
            StatusCode::OK => {}
            status => return Err(format!("the endpoint answered {status}")),
        }
        let found = parse(&answer.body)?;
        let mut etag = self.etag.lock().unwrap_or_else(PoisonError::into_inner);
        *etag = answer.headers.get(ETAG).cloned();
        Ok(Some(found))
    }

    /// Asks for one app. An endpoint that does not know the question answers with all of them, which is as good.
    pub(super) async fn find(&self, name: &AppName) -> Result<Found, String> {
        let answer = self.ask(question(&self.uri, name)?, None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Found::default()),
            StatusCode::OK => parse(&answer.body),
            status => Err(format!("the endpoint answered {status}")),
        }
    }

    async fn ask(&self, uri: Uri, etag: Option<HeaderValue>) -> Result<HttpAnswer, String> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        headers.extend(etag.map(|value| (IF_NONE_MATCH, value)));
        let answer = self.client.send(request, MAX_ANSWER, PATIENCE).await;
        answer.map_err(|failure| match failure {
            HttpFailure::Connect(text) | HttpFailure::Transport(text) => text,
            HttpFailure::TimedOut => "no answer in time".to_owned(),
        })
    }
}

/// The URL with the name of an app in its query. A name that is looked up holds nothing that must be escaped there.
fn question(uri: &Uri, name: &AppName) -> Result<Uri, String> {
    let field = match name {
        AppName::Id(_) => "id",
        AppName::Key(_) => "key",
    };
    let mut parts = uri.clone().into_parts();
    let target = match uri.query() {
        None | Some("") => format!("{}?{field}={}", uri.path(), name.text()),
        Some(query) => format!("{}?{query}&{field}={}", uri.path(), name.text()),
    };
    let target = target.parse().map_err(|_| "the name cannot stand in a URL".to_owned())?;
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

fn parse(body: &[u8]) -> Result<Found, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    let list = match answer {
        Value::Array(list) => list,
        Value::Object(mut object) => match object.remove("apps") {
            Some(Value::Array(list)) => list,
            _ => return Err("the answer has no list `apps`".to_owned()),
        },
        _ => return Err("the answer is neither a list nor an object with `apps`".to_owned()),
    };
    let mut found = Found::default();
    for (number, app) in (1..).zip(list) {
        let read = match app {
            Value::Object(object) => record::read(record::texts(object), false),
            _ => Err("it is no object".to_owned()),
        };
        match read {
            Ok(app) => found.apps.push(app),
            Err(reason) => {
                found.warnings.push(format!("app number {number} is left out: {reason}"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_or_an_object_with_it_is_read_and_what_makes_no_sense_is_left_out() {
        for text in [
            r#"[{"id":1,"key":"k","secret":"s"},{"id":"2","colour":"red"},7]"#,
            r#"{"apps":[{"id":1,"key":"k","secret":"s"},{"id":"2","colour":"red"},7]}"#,
        ] {
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(found.apps.len(), 1);
            assert_eq!(found.apps[0].id.as_ref().unwrap().0, "1");
            assert!(
                found.warnings[0].contains("app number 2")
                    && found.warnings[0].contains("`colour`")
            );
            assert_eq!(found.warnings[1], "app number 3 is left out: it is no object");
        }
        for bad in ["", "{}", "7", r#"{"apps":{}}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_app_is_asked_for_by_the_query() {
        let asked = |url: &str, name: AppName| question(&url.parse().unwrap(), &name).unwrap();
        let key = || AppName::Key("k-1".into());
        assert_eq!(asked("http://h", key()), "http://h/?key=k-1");
        assert_eq!(asked("http://h:80/apps?", key()), "http://h:80/apps?key=k-1");
        let id = AppName::Id("7".into());
        assert_eq!(asked("https://h/apps?env=a", id), "https://h/apps?env=a&id=7");
    }

    #[test]
    fn a_password_in_the_url_is_sent_elsewhere() {
        let error = Endpoint::new("http://user:hunter2@localhost/apps", None).err().unwrap();
        assert!(error.contains("apps_token") && !error.contains("hunter2"), "{error}");
    }
}
