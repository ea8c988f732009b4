//! Requests of the HTTP API: who sent them, when, and that nothing was changed on the way.

use core::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::parameters::{Keys, Parameters, Repeats, decoded, is, pairs, write_decoded};
use super::signature::{Signature, SigningKey, hex};

/// A request with the query parameters that sign it.
///
/// Signed are the method, the path and all parameters but `auth_signature`, sorted by key, with the keys in lower case
/// and the values decoded; the body through its digest in `body_md5`.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method in upper case.
    pub method: &'a str,
    /// The path as it came, without the query.
    pub path: &'a str,
    /// The query as it came, without the question mark.
    pub query: &'a str,
    /// The body as it came.
    pub body: &'a [u8],
}

/// Which check of a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestAuthError {
    /// The body is not the one that `body_md5` was made of.
    BodyDigest,
    /// `auth_key` is not the app's.
    Key,
    /// A parameter is missing.
    Missing(&'static str),
    /// The signature is not that of this request.
    Signature,
    /// The request is too old, or from the future.
    TimestampExpired {
        /// The time in the request, in seconds since 1970.
        given: u64,
        /// The server's time.
        now: u64,
    },
    /// `auth_timestamp` is not a number of seconds.
    TimestampMalformed,
    /// There are more parameters than [`MAX_PARAMETERS`](super::MAX_PARAMETERS).
    TooManyParameters,
    /// `auth_version` is not `1.0`.
    Version,
}

impl fmt::Display for RequestAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BodyDigest => f.write_str("body_md5 is not the digest of the body"),
            Self::Key => f.write_str("auth_key is not the app's"),
            Self::Missing(name) => write!(f, "the parameter {name} is missing"),
            Self::Signature => f.write_str("auth_signature is not that of the request"),
            Self::TimestampExpired { given, now } => {
                write!(f, "auth_timestamp {given} is too far from the server's time {now}")
            }
            Self::TimestampMalformed => {
                f.write_str("auth_timestamp is not a number of seconds since 1970")
            }
            Self::TooManyParameters => f.write_str("too many query parameters"),
            Self::Version => f.write_str("auth_version must be 1.0"),
        }
    }
}

impl core::error::Error for RequestAuthError {}

/// The digest of a request's body, for the parameter `body_md5`: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyDigest {
    digits: [u8; 32],
}

impl BodyDigest {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// Whether `received` is this digest.
    #[must_use]
    pub fn matches(&self, received: &str) -> bool {
        self.digits.ct_eq(received.as_bytes()).into()
    }
}

/// The MD5 digest of a body. It guards against accidents; what keeps attackers out is the signature over it.
#[must_use]
pub fn body_md5(body: &[u8]) -> BodyDigest {
    let mut digits = [0; 32];
    hex(&Md5::digest(body), &mut digits);
    BodyDigest { digits }
}

/// The value of a query parameter as it stands in the query; of several the first. Keys are compared without regard to
/// case.
#[must_use]
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    pairs(query).find(|parameter| is(parameter.key, name)).map(|parameter| parameter.value)
}

impl SignedRequest<'_> {
    /// Checks the request, the cheap parts first. `window_s` is how far the request's time may be from `now`, in
    /// seconds; exactly that far is still right.
    ///
    /// `prefix` is a path that SDKs may leave out when they sign, because a proxy or the operator has put it before the API's
    /// own. Other forms that SDKs are known to sign are accepted too: keys with capitals, repeated parameters joined by
    /// commas, and a path that was encoded after signing.
    ///
    /// # Errors
    /// [`RequestAuthError`] names the first check that failed.
    pub fn verify(
        &self,
        key: &SigningKey,
        app_key: &str,
        prefix: &str,
        now: u64,
        window_s: u64,
    ) -> Result<(), RequestAuthError> {
        let required = |name| parameter(self.query, name).ok_or(RequestAuthError::Missing(name));
        if !decoded(required("auth_key")?).eq(app_key.bytes()) {
            return Err(RequestAuthError::Key);
        }
        if required("auth_version")? != "1.0" {
            return Err(RequestAuthError::Version);
        }
        let given: u64 = required("auth_timestamp")?
            .parse()
            .map_err(|_| RequestAuthError::TimestampMalformed)?;
        if given.abs_diff(now) > window_s {
            return Err(RequestAuthError::TimestampExpired { given, now });
        }
        let received = required("auth_signature")?;
        self.verify_body()?;
        self.verify_signature(key, prefix, received)
    }

    fn verify_body(&self) -> Result<(), RequestAuthError> {
        match parameter(self.query, "body_md5") {
            None if self.body.is_empty() => Ok(()),
            None => Err(RequestAuthError::Missing("body_md5")),
            Some(given) if body_md5(self.body).matches(given) => Ok(()),
            Some(_) => Err(RequestAuthError::BodyDigest),
        }
    }

    fn verify_signature(
        &self,
        key: &SigningKey,
        prefix: &str,
        received: &str,
    ) -> Result<(), RequestAuthError> {
        let parse = |keys| Parameters::parse(self.query, keys);
        let lower = parse(Keys::Lower).ok_or(RequestAuthError::TooManyParameters)?;
        let short = self.path.strip_prefix(prefix).unwrap_or(self.path);
        let encoded = self.path.contains('%');
        let accepts = |parameters: &Parameters<'_>, keys, repeats| {
            let sign = |path, decode| self.sign_form(key, path, decode, parameters, keys, repeats);
            sign(self.path, false).matches(received)
                || (short.len() < self.path.len() && sign(short, false).matches(received))
                || (encoded && sign(self.path, true).matches(received))
                || (encoded && sign(short, true).matches(received))
        };
        if accepts(&lower, Keys::Lower, Repeats::Literal) {
            return Ok(());
        }
        let repeats = lower.has_repeats();
        if repeats && accepts(&lower, Keys::Lower, Repeats::Joined) {
            return Ok(());
        }
        if lower.has_capitals()
            && let Some(as_sent) = parse(Keys::AsSent)
            && (accepts(&as_sent, Keys::AsSent, Repeats::Literal)
                || (repeats && accepts(&as_sent, Keys::AsSent, Repeats::Joined)))
        {
            return Ok(());
        }
        Err(RequestAuthError::Signature)
    }

    fn sign_form(
        &self,
        key: &SigningKey,
        path: &str,
        decode_path: bool,
        parameters: &Parameters<'_>,
        keys: Keys,
        repeats: Repeats,
    ) -> Signature {
        key.sign_with(|out| {
            out(self.method.as_bytes());
            out(b"\n");
            if decode_path {
                write_decoded(path, out);
            } else {
                out(path.as_bytes());
            }
            out(b"\n");
            parameters.write(keys, repeats, out);
        })
    }

    /// Passes on the text that is to be signed, in its documented form. It holds no secret.
    pub fn text_to_sign(&self, out: &mut dyn FnMut(&[u8])) {
        out(self.method.as_bytes());
        out(b"\n");
        out(self.path.as_bytes());
        out(b"\n");
        if let Some(parameters) = Parameters::parse(self.query, Keys::Lower) {
            parameters.write(Keys::Lower, Repeats::Literal, out);
        }
    }

    /// Signs the request in its documented form; the query has every parameter but `auth_signature`.
    ///
    /// # Errors
    /// [`RequestAuthError::TooManyParameters`].
    pub fn sign(&self, key: &SigningKey) -> Result<Signature, RequestAuthError> {
        let parameters = Parameters::parse(self.query, Keys::Lower);
        let parameters = parameters.ok_or(RequestAuthError::TooManyParameters)?;
        Ok(self.sign_form(key, self.path, false, &parameters, Keys::Lower, Repeats::Literal))
    }
}
