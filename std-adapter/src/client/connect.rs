//! The way to the server: TCP, perhaps through a proxy, perhaps TLS.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use base64ct::{Base64, Encoding as _};
use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::Target;
use super::error::{ClientError, ConfigError};
use crate::outbound::{Tls, authority, told};

/// The most bytes of a proxy's answer.
const PROXY_ANSWER: usize = 16 * 1024;

/// Any transport.
pub(super) type Stream = Box<dyn Transport>;

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// A proxy that is asked to `CONNECT`.
#[derive(Clone)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&authority(&self.host, self.port)).finish()
    }
}

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        // The text may hold a password.
        let wrong = || ConfigError::Value {
            option: "proxy",
            value: "not an address of a proxy".into(),
            hint: "it is like http://proxy.example:3128 or http://user:password@proxy.example:3128",
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some("http"), Some(whole), Some(host)) =
            (uri.scheme_str(), uri.authority(), uri.host())
        else {
            return Err(wrong());
        };
        let user = whole.as_str().rsplit_once('@').map(|(user, _)| user);
        let decoded =
            user.map(|user| percent_encoding::percent_decode_str(user).collect::<Vec<u8>>());
        let authorization = decoded.map(|user| format!("Basic {}", Base64::encode_string(&user)));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(80), authorization })
    }
}

/// Connects to the server. Names are looked up each time.
pub(super) async fn connect(target: &Target, patience: Duration) -> Result<Stream, ClientError> {
    match tokio::time::timeout(patience, transport(target)).await {
        Ok(connected) => connected,
        Err(_) => Err(connect_error(target, io::ErrorKind::TimedOut.into())),
    }
}

fn connect_error(target: &Target, source: io::Error) -> ClientError {
    ClientError::Connect { host: target.name(), source: Arc::new(source) }
}

async fn transport(target: &Target) -> Result<Stream, ClientError> {
    let stream = match &target.proxy {
        None => tcp(&target.host, target.port).await.map_err(|e| connect_error(target, e))?,
        Some(proxy) => through(proxy, target).await.map_err(|source| ClientError::Proxy {
            proxy: authority(&proxy.host, proxy.port).into(),
            source: Arc::new(source),
        })?,
    };
    if !target.secure {
        return Ok(Box::new(stream));
    }
    let failed = |reason: String| ClientError::Tls { host: target.name(), reason: reason.into() };
    let tls = match &target.tls {
        Some(tls) => tls.clone(),
        None => Tls::system().map_err(|error| failed(error.to_string()))?,
    };
    let name = ServerName::try_from(bare(&target.host).to_owned());
    let name = name.map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(tls.config()).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| failed(told(&error)))?))
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((bare(host), port)).await?;
    // Frames are small and complete.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks the proxy for a way to the server.
async fn through(proxy: &Proxy, target: &Target) -> io::Result<TcpStream> {
    let mut stream = tcp(&proxy.host, proxy.port).await?;
    let server = target.name();
    let mut request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::other("it ended the connection without an answer"));
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&answer).map_err(io::Error::other)?;
        let httparse::Status::Complete(end) = parsed else {
            if answer.len() > PROXY_ANSWER {
                return Err(io::Error::other("its answer is too long"));
            }
            continue;
        };
        return match response.code {
            // The server waits for the client's first word, so nothing of it can be here.
            Some(200..=299) if end == answer.len() => Ok(stream),
            Some(200..=299) => Err(io::Error::other("it sent more than its answer")),
            Some(407) => Err(io::Error::other("it answered 407: give its user and password")),
            code => Err(io::Error::other(format!("it answered {}", code.unwrap_or_default()))),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_sent_and_not_shown() {
        let proxy = Proxy::parse("http://ann:s%40crt@proxy.test:3128").unwrap();
        assert_eq!((&*proxy.host, proxy.port), ("proxy.test", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic YW5uOnNAY3J0"));
        assert_eq!(format!("{proxy:?}"), r#"Proxy("proxy.test:3128")"#);
        assert_eq!(Proxy::parse("http://[::1]").unwrap().host, "::1");
        for wrong in ["", "proxy", "https://proxy", "http://", "socks5://s@crt:1"] {
            let error = Proxy::parse(wrong).unwrap_err().to_string();
            assert!(
                error.contains("http://proxy.example:3128") && !error.contains("crt"),
                "{error}"
            );
        }
    }
}
