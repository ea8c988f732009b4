//! What is wrong with a list of apps.

use std::net::SocketAddr;

/// Why a list of apps was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Two apps have one id.
    #[error("two apps have the id `{id}`: give each app its own id")]
    DuplicateId {
        /// The id.
        id: Box<str>,
    },
    /// Two apps have one key.
    #[error("the apps `{first}` and `{second}` both have the key `{key}`: give each app its own")]
    DuplicateKey {
        /// The key.
        key: Box<str>,
        /// The id of the app that came first.
        first: Box<str>,
        /// The id of the app that came second.
        second: Box<str>,
    },
    /// An id, key or secret is the empty text.
    #[error("the {field} of app `{id}` is empty: set it to a text of at least one character")]
    Empty {
        /// The app's id, which may itself be empty.
        id: Box<str>,
        /// `id`, `key` or `secret`.
        field: &'static str,
    },
    /// A webhook cannot be sent as it is configured.
    #[error("the webhook `{url}` of the app `{id}` is of no use: {reason}")]
    Webhook {
        /// The app's id.
        id: Box<str>,
        /// The URL, without its query.
        url: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The development app is for loopback addresses.
    #[error(
        "the development app must not be served on {address}, since everyone knows its secret: configure an app of your own"
    )]
    DevelopmentAppExposed {
        /// The address that is reachable from elsewhere.
        address: SocketAddr,
    },
    /// An id or key cannot stand in a URL path as it is.
    #[error(
        "the app {field} `{value}` may hold only ASCII letters, digits and - _ . ~, since it stands in URLs"
    )]
    NotInPath {
        /// `id` or `key`.
        field: &'static str,
        /// The id or key.
        value: Box<str>,
    },
}
