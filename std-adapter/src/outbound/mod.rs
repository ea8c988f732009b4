//! Connections that this program makes: what client, publisher and webhooks share.

pub(crate) mod http;
mod tls;

pub use tls::{Tls, TlsError};

/// What went wrong, down to its root.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        // Some errors tell their source's text as theirs.
        if !text.ends_with(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        next = source.source();
    }
    text
}

/// Host and port as they stand in an address; an IPv6 address in brackets.
#[cfg(any(feature = "client", feature = "publisher"))]
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A path prefix with a slash before and none after it, or nothing.
#[cfg(any(feature = "client", feature = "publisher"))]
pub(crate) fn path_prefix(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => String::new(),
        inner => format!("/{inner}"),
    }
}
