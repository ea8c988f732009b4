//! `tidings verify`: whether a signature is right, and if not, what is wrong with it.

#![expect(clippy::doc_markdown, reason = "what is said of arguments is the text of the help")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use super::target::{ENVIRONMENT, TargetArgs};
use super::{EXIT_USAGE, fail, payload, print};
use tidings_core::auth::{SignedRequest, SigningKey, verify_channel, verify_user, verify_webhook};

/// How far a request's time may be from this machine's, in seconds.
const WINDOW_S: u64 = 600;

const ABOUT: &str = "\
Say whether a signature is that of the app's secret

Prints `valid`, or on standard error what is wrong. Nothing is connected to.

Exit codes: 0 right; 1 wrong; 2 wrong arguments.";

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(about = "Verify a signature", long_about = ABOUT, after_long_help = ENVIRONMENT)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print a JSON object in either case
    #[arg(long, global = true)]
    json: bool,
}

/// What can be verified.
#[derive(Debug, Subcommand)]
enum What {
    /// The auth of a subscription
    Channel {
        /// Socket id of the connection
        socket_id: String,
        /// Name of the channel
        channel: String,
        /// KEY:SIGNATURE
        auth: String,
        /// channel_data, as it was signed
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// The auth of a sign-in
    User {
        /// Socket id of the connection
        socket_id: String,
        /// user_data, as it was signed
        user_data: String,
        /// KEY:SIGNATURE
        auth: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// The signature of a webhook
    Webhook {
        /// X-Pusher-Signature
        signature: String,
        /// The body as it came; - reads it from standard input
        body: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// A request of the HTTP API
    Request {
        /// The method
        method: String,
        /// Path and query as they were sent
        path: String,
        /// The body; - reads it from standard input
        body: Option<String>,
        /// Accept any time, not just the last and next ten minutes
        #[arg(long)]
        any_time: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Says whether a signature is right.
pub(super) fn run(args: Args) -> ExitCode {
    let wrong = match verify(args.what) {
        Err(error) => return fail(EXIT_USAGE, &error),
        Ok(wrong) => wrong,
    };
    let code = if wrong.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    match wrong {
        _ if args.json => {
            let object = serde_json::json!({"valid": wrong.is_none(), "reason": wrong});
            let printed = print(&object.to_string());
            if printed == ExitCode::SUCCESS { code } else { printed }
        }
        Some(reason) => fail(1, &reason),
        None => print("valid"),
    }
}

/// What is wrong with the signature, if anything is.
fn verify(what: What) -> Result<Option<String>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    Ok(match what {
        What::Channel { socket_id, channel, auth, data, target } => {
            let (key, signing) = signer(target)?;
            let data = data.as_deref();
            let verified = verify_channel(&signing, &key, &socket_id, &channel, data, &auth);
            verified.err().map(|error| told(&error))
        }
        What::User { socket_id, user_data, auth, target } => {
            let (key, signing) = signer(target)?;
            let verified = verify_user(&signing, &key, &socket_id, &user_data, &auth);
            verified.err().map(|error| told(&error))
        }
        What::Webhook { signature, body, target } => {
            let (_, signing) = signer(target)?;
            let right = verify_webhook(&signing, &payload(body)?, &signature);
            (!right).then(|| "the signature does not match".into())
        }
        What::Request { method, path, body, any_time, target } => {
            let (key, signing) = signer(target)?;
            let body = body.map(payload).transpose()?.unwrap_or_default();
            let (path, query) = path.split_once('?').unwrap_or((&path, ""));
            let request = SignedRequest { method: &method, path, query, body: &body };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let window = if any_time { u64::MAX } else { WINDOW_S };
            let verified = request.verify(&signing, &key, "", now, window);
            verified.err().map(|error| told(&error))
        }
    })
}

fn signer(target: TargetArgs) -> Result<(String, SigningKey), String> {
    let target = target.resolved()?;
    let signing = SigningKey::new(target.needed_secret()?.as_ref());
    Ok((target.key, signing))
}
