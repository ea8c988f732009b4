//! Signatures: who may subscribe, sign in, publish, and whether a webhook is genuine.
//!
//! Every signature is the lower-case hexadecimal HMAC-SHA256 of a text, keyed with the app's secret. It is made
//! over the text as it was received: the same JSON written in another way has another signature. Comparisons take
//! constant time.
//!
//! ```
//! use tidings_core::auth::{SigningKey, sign_channel, verify_channel};
//!
//! let key = SigningKey::new(b"7ad3773142a6692b25b8");
//! let signature = sign_channel(&key, "1234.1234", "private-foobar", None);
//! let auth = std::format!("278d425bdf160c739803:{}", signature.as_str());
//! verify_channel(&key, "278d425bdf160c739803", "1234.1234", "private-foobar", None, &auth).unwrap();
//! ```

mod channel;
#[cfg(feature = "encrypted")]
mod encrypted;
#[cfg(any(test, feature = "small"))]
mod hmac;
mod identity;
mod parameters;
mod request;
mod signature;
mod webhook;

pub use channel::{ChannelAuthError, sign_channel, sign_user, verify_channel, verify_user};
#[cfg(feature = "encrypted")]
pub use encrypted::{KeyError, MasterKey, NONCE_LEN, OpenError, SharedSecret, TAG_LEN};
pub use identity::{IdentityError, PresenceData, UserData};
pub use parameters::MAX_PARAMETERS;
pub use request::{BodyDigest, RequestAuthError, SignedRequest, body_md5, parameter};
pub use signature::{Signature, SigningKey};
pub use webhook::{sign_webhook, verify_webhook};
