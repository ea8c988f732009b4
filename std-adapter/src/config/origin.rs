//! Pages that may connect, by their origin.

use std::fmt;
use std::str::FromStr;

use super::ServerConfig;
use crate::app::App;

/// An origin of pages, as a browser names it, or a pattern of such.
///
/// `https://shop.example` is just that. `https://*.shop.example` is every subdomain, not the domain itself. Without a
/// scheme, as `shop.example` or `*.shop.example`, every scheme and port is meant. A port counts where it is written.
/// `*` is every origin.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Option<Box<str>>,
    /// In lower case, without the star and its dot; empty where every host is meant.
    host: Box<str>,
    subdomains: bool,
    port: Option<Box<str>>,
}

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: write it as https://shop.example, https://*.shop.example, shop.example or *, without a path"
)]
pub struct OriginError(Box<str>);

impl Origin {
    /// Whether a page of this origin is meant: the value of the field `Origin` in a request.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        if self.is_any() {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let (host, port) = host_and_port(rest);
        let is_host = match host.strip_suffix(&*self.host) {
            Some(before) if self.subdomains => before.len() > 1 && before.ends_with('.'),
            Some(before) => before.is_empty(),
            None => false,
        };
        let is_scheme = self.scheme.as_deref().is_none_or(|wanted| wanted == scheme);
        // A browser leaves out the port that the scheme has anyway, and so may who writes the pattern.
        let port = port.or_else(|| default_port(scheme));
        let wanted = self.port.as_deref();
        let wanted = wanted.or_else(|| self.scheme.as_deref().and_then(default_port));
        let is_port = match (&self.scheme, wanted) {
            (None, None) => true,
            (_, wanted) => wanted == port,
        };
        is_host && is_scheme && is_port
    }

    fn is_any(&self) -> bool {
        self.host.is_empty()
    }
}

/// Whether every origin is meant.
pub(crate) fn is_open(patterns: &[Origin]) -> bool {
    patterns.is_empty() || patterns.iter().any(Origin::is_any)
}

/// Whether one of the patterns means this origin, or there are none.
pub(crate) fn allowed(patterns: &[Origin], origin: &[u8]) -> bool {
    let allows = |origin: &str| patterns.iter().any(|pattern| pattern.allows(origin));
    is_open(patterns) || std::str::from_utf8(origin).is_ok_and(allows)
}

impl ServerConfig {
    /// The patterns that hold for an app: its own, or else the server's.
    pub(crate) fn origins<'a>(&'a self, app: Option<&'a App>) -> &'a [Origin] {
        let own = app.map(|app| &app.allowed_origins[..]);
        own.filter(|own| !own.is_empty()).unwrap_or(&self.allowed_origins)
    }
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// A host, which may be an IPv6 address in brackets, and the port after it.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.into());
        let written = text.trim().to_ascii_lowercase();
        if written == "*" {
            return Ok(Self { scheme: None, host: "".into(), subdomains: false, port: None });
        }
        let (scheme, rest) = match written.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, &*written),
        };
        let (host, port) = host_and_port(rest);
        let (host, subdomains) = match host.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (host, false),
        };
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_port = |port: &str| port.parse::<u16>().is_ok();
        let good = !host.is_empty()
            && host.bytes().all(in_host)
            && scheme.is_none_or(|scheme| !scheme.is_empty() && scheme.bytes().all(in_scheme))
            && port.is_none_or(is_port);
        if !good {
            return Err(wrong());
        }
        Ok(Self {
            scheme: scheme.map(Into::into),
            host: host.into(),
            subdomains,
            port: port.map(Into::into),
        })
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("*");
        }
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}{}", if self.subdomains { "*." } else { "" }, self.host)?;
        self.port.as_ref().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        for (pattern, origin, expected) in [
            ("https://shop.example", "https://shop.example", true),
            ("https://shop.example", "https://SHOP.example", true),
            ("https://shop.example:443", "https://shop.example", true),
            ("https://shop.example", "https://shop.example:443", true),
            ("https://shop.example", "http://shop.example", false),
            ("https://shop.example", "https://shop.example:8443", false),
            ("https://shop.example", "https://eu.shop.example", false),
            ("https://shop.example", "https://shop.example.evil", false),
            ("https://shop.example", "https://evilshop.example", false),
            ("https://*.shop.example", "https://eu.shop.example", true),
            ("https://*.shop.example", "https://a.b.shop.example", true),
            ("https://*.shop.example", "https://shop.example", false),
            ("https://*.shop.example", "https://evilshop.example", false),
            ("https://*.shop.example", "https://.shop.example", false),
            ("shop.example", "http://shop.example:3000", true),
            ("shop.example:3000", "http://shop.example:3000", true),
            ("shop.example:3000", "http://shop.example", false),
            ("*.shop.example", "https://eu.shop.example:1", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://[::1]", "http://[::1]", true),
            ("capacitor://localhost", "capacitor://localhost", true),
            ("*", "https://anything", true),
            ("*", "null", true),
            ("shop.example", "null", false),
        ] {
            let found = pattern.parse::<Origin>().unwrap().allows(origin);
            assert_eq!(found, expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_and_the_rest_is_written_as_it_was() {
        for bad in [
            "",
            "https://",
            "https://shop.example/",
            "https://shop.example/x",
            "a b",
            "*.*",
            "x:99999",
            "https://*",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        for good in ["*", "https://*.shop.example:8443", "shop.example", "http://[::1]:3000"] {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn without_patterns_every_origin_is_allowed() {
        assert!(allowed(&[], b"null"));
        let one = ["https://a.example".parse().unwrap()];
        assert!(allowed(&one, b"https://a.example") && !allowed(&one, b"\xff"));
    }
}
