//! `tidings sign`: what the endpoint of an application would answer, and signed requests.

#![expect(clippy::doc_markdown, reason = "what is said of arguments is the text of the help")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use serde_json::{Value, json};

use super::target::{ENVIRONMENT, TargetArgs};
use super::{EXIT_USAGE, fail, payload, print};
use tidings_core::auth::{
    PresenceData, SigningKey, UserData, sign_channel, sign_user, sign_webhook,
};
use tidings_core::channel::{ChannelKind, ChannelName, DEFAULT_MAX_LEN};
use tidings_core::pusher::SocketId;

const ABOUT: &str = "\
Sign a subscription, a sign-in, a webhook or a request with the app's secret

Prints the signature in the form in which it is sent. Nothing is connected to.

Exit codes: 0 signed; 2 wrong arguments.";

/// The arguments of `sign`.
#[derive(Debug, clap::Args)]
#[command(about = "Sign with the app's secret", long_about = ABOUT, after_long_help = ENVIRONMENT)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print a JSON object
    #[arg(long, global = true)]
    json: bool,
}

/// What can be signed.
#[derive(Debug, Subcommand)]
enum What {
    /// The subscription of a connection to a private or presence channel
    Channel {
        /// Socket id of the connection
        socket_id: String,
        /// Name of the channel
        channel: String,
        /// channel_data: JSON text with the user_id of a presence channel's user
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// The sign-in of a connection's user
    User {
        /// Socket id of the connection
        socket_id: String,
        /// user_data: JSON text with the user's id
        user_data: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// The body of a webhook, for X-Pusher-Signature
    Webhook {
        /// The body; - reads it from standard input
        body: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// A request of the HTTP API: prints its path and query
    Request {
        /// The method
        #[arg(value_parser = ["GET", "POST"])]
        method: String,
        /// The path, with a query if there is one: /apps/ID/channels?info=user_count
        path: String,
        /// The body; - reads it from standard input
        body: Option<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Prints a signature.
pub(super) fn run(args: Args) -> ExitCode {
    match sign(args.what) {
        Ok((text, object)) => print(&if args.json { object.to_string() } else { text }),
        Err(error) => fail(EXIT_USAGE, &error),
    }
}

/// The signature as text and as an object.
fn sign(what: What) -> Result<(String, Value), String> {
    match what {
        What::Channel { socket_id, channel, data, target } => {
            let (key, signing) = signer(target)?;
            check_socket_id(&socket_id)?;
            let name = ChannelName::parse(&channel, DEFAULT_MAX_LEN);
            let name = name.map_err(|error| format!("{channel}: {error}"))?;
            if !name.needs_auth() {
                return Err(format!(
                    "{channel} needs no signature: only private- and presence- do"
                ));
            }
            if name.kind() == ChannelKind::Presence {
                let data = data.as_deref().ok_or_else(|| {
                    format!("{channel} needs --data, such as {{\"user_id\":\"ann\"}}")
                })?;
                PresenceData::parse(data).map_err(|error| format!("--data: {error}"))?;
            }
            let signature = sign_channel(&signing, &socket_id, &channel, data.as_deref());
            let auth = format!("{key}:{signature}");
            let object = match data {
                Some(data) => json!({"auth": auth, "channel_data": data}),
                None => json!({"auth": auth}),
            };
            Ok((auth, object))
        }
        What::User { socket_id, user_data, target } => {
            let (key, signing) = signer(target)?;
            check_socket_id(&socket_id)?;
            UserData::parse(&user_data).map_err(|error| format!("user_data: {error}"))?;
            let auth = format!("{key}:{}", sign_user(&signing, &socket_id, &user_data));
            Ok((auth.clone(), json!({"auth": auth, "user_data": user_data})))
        }
        What::Webhook { body, target } => {
            let (key, signing) = signer(target)?;
            let signature = sign_webhook(&signing, &payload(body)?).to_string();
            let object = json!({"X-Pusher-Key": key, "X-Pusher-Signature": signature});
            Ok((signature, object))
        }
        What::Request { method, path, body, target } => {
            let (key, signing) = signer(target)?;
            let body = body.map(payload).transpose()?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let signed = request(&key, &signing, &method, &path, body.as_deref(), now)?;
            Ok((signed.clone(), json!({"method": method, "path": signed})))
        }
    }
}

fn signer(target: TargetArgs) -> Result<(String, SigningKey), String> {
    let target = target.resolved()?;
    let signing = SigningKey::new(target.needed_secret()?.as_ref());
    Ok((target.key, signing))
}

fn check_socket_id(text: &str) -> Result<(), String> {
    SocketId::parse(text).map(|_| ()).map_err(|error| format!("{text}: {error}"))
}

/// Path and query, signed.
fn request(
    key: &str,
    signing: &SigningKey,
    method: &str,
    path: &str,
    body: Option<&[u8]>,
    now: u64,
) -> Result<String, String> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if !path.starts_with('/') {
        return Err(format!("{path} is no path: it begins with /apps/"));
    }
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.starts_with("auth_") || name == "body_md5" {
            return Err(format!("{name} is what this command adds: leave it out"));
        }
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{name}: its value is no UTF-8"))?;
        parameters.push((name, value));
    }
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, &**value)).collect();
    let key = (key, signing);
    let query = crate::publisher::signed_query(key, (method, path), &parameters, body, now);
    Ok(format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use tidings_core::auth::SignedRequest;

    use super::*;

    #[test]
    fn a_signed_request_is_one_that_a_server_takes() {
        let signing = SigningKey::new(b"s");
        for (method, path, body) in [
            ("GET", "/apps/1/channels?info=user_count&filter_by_prefix=presence-%C3%A4", None),
            ("POST", "/apps/1/events", Some(&b"{}"[..])),
        ] {
            let signed = request("k", &signing, method, path, body, 1000).unwrap();
            let (path, query) = signed.split_once('?').unwrap();
            let body = body.unwrap_or_default();
            let request = SignedRequest { method, path, query, body };
            request.verify(&signing, "k", "", 1000, 0).unwrap();
        }
        assert!(request("k", &signing, "GET", "apps", None, 0).is_err());
        let twice = request("k", &signing, "GET", "/a?auth_key=k", None, 0).unwrap_err();
        assert!(twice.contains("auth_key"), "{twice}");
    }
}
