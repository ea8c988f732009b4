//! The kinds of socket that a shard owns.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::tls::{DetachedTls, Tls};

/// A non-blocking byte stream of the system.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    /// One that was accepted, or one end of a pair with what carries the bytes on behind the other end.
    Unix(UnixStream),
    Tls(Box<Tls>),
}

/// A stream on its way to the shard that will own it.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    Tls(Box<DetachedTls>),
}

macro_rules! each {
    ($stream:expr, $s:ident => $do:expr) => {
        match $stream {
            Stream::Tcp($s) => $do,
            Stream::Unix($s) => $do,
            Stream::Tls($s) => $do,
        }
    };
}

impl Stream {
    /// Registers a detached stream with the runtime of this thread.
    pub(crate) fn attach(detached: Detached) -> io::Result<Self> {
        Ok(match detached {
            Detached::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Detached::Unix(stream) => Self::Unix(UnixStream::from_std(stream)?),
            Detached::Tls(stream) => Self::Tls(Box::new(Tls::attach(*stream)?)),
        })
    }

    /// Takes the stream from the runtime of this thread.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Self::Unix(stream) => Detached::Unix(stream.into_std()?),
            Self::Tls(stream) => Detached::Tls(Box::new(stream.detach()?)),
        })
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        each!(self, s => s.try_read(buf))
    }

    /// Writes bytes and says how many the system has taken. After `WouldBlock` the next write must begin
    /// with the same [`begun`](Self::begun) bytes.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        each!(self, s => s.try_write(buf))
    }

    /// As [`try_write`](Self::try_write).
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, s => s.try_write_vectored(slices))
    }

    /// Bytes at the front of what waits that can no longer be taken back, although they have not left.
    pub(crate) fn begun(&self) -> usize {
        match self {
            Self::Tcp(_) | Self::Unix(_) => 0,
            Self::Tls(stream) => stream.begun(),
        }
    }

    /// Notes that a read has taken all there was, which saves the read that would say so. New input
    /// wakes the reader in any case, since readiness is edge-triggered.
    pub(crate) fn expect_no_more(&self) {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = match self {
            Self::Tcp(s) => s.try_io(Interest::READABLE, nothing),
            Self::Unix(s) => s.try_io(Interest::READABLE, nothing),
            // It reads until the system says so.
            Self::Tls(_) => return,
        };
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        each!(self, s => s.readable().await)
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.writable().await,
            Self::Unix(s) => s.writable().await,
            Self::Tls(s) => s.socket().writable().await,
        }
    }

    /// Tells the peer of a TLS connection that nothing follows; the end of other sockets says it.
    pub(crate) fn say_goodbye(&self) {
        if let Self::Tls(stream) = self {
            stream.say_goodbye();
        }
    }

    /// Ends both directions; whoever waits for the stream wakes. An error means that it has ended.
    pub(crate) fn shutdown(&self) {
        self.end(Shutdown::Both);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shutdown_write(&self) {
        self.end(Shutdown::Write);
    }

    fn end(&self, how: Shutdown) {
        self.say_goodbye();
        let _ = match self {
            Self::Tcp(s) => socket2::SockRef::from(s).shutdown(how),
            Self::Unix(s) => socket2::SockRef::from(s).shutdown(how),
            Self::Tls(s) => socket2::SockRef::from(s.socket()).shutdown(how),
        };
    }
}
