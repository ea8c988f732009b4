//! Webhooks: the signature of the raw body, in the header `X-Pusher-Signature`.

use super::signature::{Signature, SigningKey};

/// Signs the body of a webhook.
#[must_use]
pub fn sign_webhook(key: &SigningKey, body: &[u8]) -> Signature {
    key.sign(&[body])
}

/// Whether `signature` is that of `body`: the bytes as they came, not read and written again.
#[must_use]
pub fn verify_webhook(key: &SigningKey, body: &[u8], signature: &str) -> bool {
    sign_webhook(key, body).matches(signature)
}
