//! The way to the server.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::config::Target;
use super::error::ClientError;

/// Any transport.
pub(super) type Stream = Box<dyn Transport>;

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// Connects to the server. Its name is looked up each time.
pub(super) async fn connect(target: &Target, patience: Duration) -> Result<Stream, ClientError> {
    let failed = |source| ClientError::Connect { host: target.name(), source: Arc::new(source) };
    let connecting = tokio::time::timeout(patience, tcp(&target.host, target.port));
    let stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    Ok(Box::new(stream.map_err(failed)?))
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    // Frames are small and complete.
    stream.set_nodelay(true)?;
    Ok(stream)
}
