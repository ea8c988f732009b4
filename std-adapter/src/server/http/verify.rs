//! The signature of a request, and what its sender is told when it is wrong.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use tidings_core::auth::{RequestAuthError, SignedRequest, parameter};

use super::Call;
use super::answer::Refusal;
use super::route::excerpt;
use crate::app::{App, Apps};
use crate::server::AppName;

/// Seconds that a request's time may be from the server's.
const WINDOW_S: u64 = 600;

/// The app that a request names by its key alone; `unknown` is what may be looked up when there is none.
pub(super) fn app_of_key(
    apps: &Apps,
    query: &str,
    unknown: &mut Option<AppName>,
) -> Result<Arc<App>, Refusal> {
    let key = parameter(query, "auth_key").ok_or_else(|| {
        Refusal::unauthorised("the query parameter `auth_key` is missing: sign the request")
    })?;
    let key = percent_decode_str(key).decode_utf8_lossy();
    apps.by_key(&key).ok_or_else(|| {
        *unknown = apps.lookups().map(|_| AppName::Key((*key).into()));
        Refusal::unauthorised(format!("auth_key: there is no app with the key {}", excerpt(&key)))
    })
}

/// Checks that the request comes from who knows the app's secret, and came unchanged.
pub(super) fn verify(app: &App, prefix: &str, call: &Call<'_>, body: &[u8]) -> Result<(), Refusal> {
    let request =
        SignedRequest { method: call.method.as_str(), path: call.path, query: call.query, body };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    app.verified(|secret| request.verify(secret, &app.key, prefix, now, WINDOW_S))
        .map_err(|error| Refusal::unauthorised(explain(error, &request, app)))
}

fn explain(error: RequestAuthError, request: &SignedRequest<'_>, app: &App) -> String {
    match error {
        RequestAuthError::Key => format!(
            "auth_key is not the key of the app `{}`: check the key that the SDK is configured with",
            app.id
        ),
        RequestAuthError::TimestampExpired { given, now } => format!(
            "Timestamp expired: auth_timestamp {} is not within {WINDOW_S} s of the server's time {}: set the clock of the sender",
            moment(given),
            moment(now)
        ),
        RequestAuthError::BodyDigest => {
            "body_md5 is not the MD5 digest of the body as it arrived: sign the very bytes that are sent"
                .into()
        }
        RequestAuthError::Signature => {
            let mut text = Vec::new();
            request.text_to_sign(&mut |piece| text.extend_from_slice(piece));
            format!(
                "auth_signature does not match: it must be the HMAC SHA256 hex digest, keyed with the secret of the app `{}`, of the text below. Check the secret, white space at its ends included.\n{}",
                app.id,
                String::from_utf8_lossy(&text)
            )
        }
        other => format!("{other}: sign the request"),
    }
}

/// Seconds since 1970, with the date that they mean.
fn moment(seconds: u64) -> String {
    // The calendar ends with the year 9999.
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(time) if seconds < 253_402_300_800 => {
            format!("{seconds} ({})", humantime::format_rfc3339_seconds(time))
        }
        _ => seconds.to_string(),
    }
}
