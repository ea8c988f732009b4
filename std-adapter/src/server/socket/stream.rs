//! The two kinds of socket that a shard owns.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// A non-blocking byte stream of the system.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    /// One end of a pair; what carries the bytes on is behind the other end.
    Pair(UnixStream),
}

/// A stream on its way to the shard that will own it.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Pair(std::os::unix::net::UnixStream),
}

macro_rules! each {
    ($stream:expr, $s:ident => $do:expr) => {
        match $stream {
            Stream::Tcp($s) => $do,
            Stream::Pair($s) => $do,
        }
    };
}

impl Stream {
    /// Registers a detached stream with the runtime of this thread.
    pub(crate) fn attach(detached: Detached) -> io::Result<Self> {
        Ok(match detached {
            Detached::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Detached::Pair(stream) => Self::Pair(UnixStream::from_std(stream)?),
        })
    }

    /// Takes the stream from the runtime of this thread.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Self::Pair(stream) => Detached::Pair(stream.into_std()?),
        })
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        each!(self, s => s.try_read(buf))
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        each!(self, s => s.try_write(buf))
    }

    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, s => s.try_write_vectored(slices))
    }

    /// Notes that a read has taken all there was, which saves the read that would say so. New input
    /// wakes the reader in any case, since readiness is edge-triggered.
    pub(crate) fn expect_no_more(&self) {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = each!(self, s => s.try_io(Interest::READABLE, nothing));
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        each!(self, s => s.readable().await)
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        each!(self, s => s.writable().await)
    }

    /// Ends both directions; whoever waits for the stream wakes. An error means that it has ended.
    pub(crate) fn shutdown(&self) {
        let _ = each!(self, s => socket2::SockRef::from(s).shutdown(Shutdown::Both));
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shutdown_write(&self) {
        let _ = each!(self, s => socket2::SockRef::from(s).shutdown(Shutdown::Write));
    }
}
