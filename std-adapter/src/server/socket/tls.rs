//! TLS on a socket of the system, driven by hand: no task and no buffer between it and the shard.
//!
//! What rustls has encrypted and the system has not taken counts as not written: a write takes bytes only
//! when all that came before has left, and says so only when they have left too. So what waits is bounded
//! and counted where all other sockets have it, in the outbox, and rustls holds one write at most.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConnection;
use tokio::net::TcpStream;

/// The first byte of every TLS connection: a record that carries a handshake.
const HANDSHAKE: u8 = 0x16;

/// What one is told who speaks HTTP where TLS is spoken.
const SPEAKS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 46\r\nConnection: close\r\n\r\nThis port speaks TLS: use https:// or wss://.\n";

/// A TLS connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct Tls {
    tcp: TcpStream,
    session: RefCell<ServerConnection>,
    /// Bytes at the front of the write that waits which are encrypted already.
    begun: Cell<usize>,
    /// Whether a read may have something without the system's having more.
    holds_input: Cell<bool>,
}

/// The same on its way between threads.
#[derive(Debug)]
pub(crate) struct DetachedTls {
    tcp: std::net::TcpStream,
    session: ServerConnection,
}

/// The socket as rustls wants it.
struct Io<'s>(&'s TcpStream);

impl Read for Io<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl Write for Io<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why there is no TLS connection; the socket may still tell the peer.
pub(super) struct NoTls(pub(super) TcpStream);

impl Tls {
    /// Makes the handshake; `read` came first. The caller bounds its time.
    ///
    /// # Errors
    /// The socket, when the peer could be told what is wrong and may be reading it; `None` when it is gone.
    pub(super) async fn accept(
        tcp: TcpStream,
        config: Arc<rustls::ServerConfig>,
        read: Vec<u8>,
    ) -> Result<Self, Option<NoTls>> {
        let mut first = [0];
        match read.first() {
            Some(byte) => first = [*byte],
            None if matches!(tcp.peek(&mut first).await, Ok(1)) => {}
            None => return Err(None),
        }
        if first != [HANDSHAKE] {
            tracing::debug!("a client speaks no TLS on a port that does");
            if first[0].is_ascii_uppercase() {
                let _ = tcp.try_write(SPEAKS_TLS); // a peer that cannot take one answer gets none
            }
            return Err(Some(NoTls(tcp)));
        }
        let Ok(mut session) = ServerConnection::new(config) else { return Err(None) };
        let mut read = &read[..];
        while session.is_handshaking() {
            let taken = match read.is_empty() {
                true => session.read_tls(&mut Io(&tcp)),
                false => session.read_tls(&mut read),
            };
            match taken {
                Ok(0) => return Err(None),
                Ok(_) => {
                    if let Err(error) = session.process_new_packets() {
                        tracing::debug!(%error, "TLS handshake failed");
                        let _ = flush(&tcp, &mut session); // the alert that says why
                        return Err(Some(NoTls(tcp)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tcp.readable().await.map_err(|_| None)?;
                }
                Err(_) => return Err(None),
            }
            while let Err(error) = flush(&tcp, &mut session) {
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Err(None);
                }
                tcp.writable().await.map_err(|_| None)?;
            }
        }
        let (begun, holds_input) = (Cell::default(), Cell::new(true));
        Ok(Self { tcp, session: RefCell::new(session), begun, holds_input })
    }

    pub(super) fn attach(detached: DetachedTls) -> io::Result<Self> {
        let DetachedTls { tcp, session } = detached;
        Ok(Self {
            tcp: TcpStream::from_std(tcp)?,
            session: RefCell::new(session),
            begun: Cell::default(),
            holds_input: Cell::new(true),
        })
    }

    pub(super) fn detach(self) -> io::Result<DetachedTls> {
        Ok(DetachedTls { tcp: self.tcp.into_std()?, session: self.session.into_inner() })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads until `buf` is full or there is no more for now, so that afterwards the system tells of more.
    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let mut filled = 0;
        let ended = loop {
            let rest = buf.get_mut(filled..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match session.reader().read(rest) {
                Ok(0) => break Ok(()), // the peer has said that it ends
                Ok(n) => {
                    filled += n;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The connection was cut without a word, as many do at their end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break Ok(()),
                Err(error) => break Err(error),
            }
            if let Err(error) = session.read_tls(&mut Io(&self.tcp)) {
                break Err(error);
            }
            let processed = session.process_new_packets();
            // An answer of the protocol's own, or an alert; what does not fit goes before the next write.
            let flushed = flush(&self.tcp, &mut session);
            if let Err(error) = processed {
                break Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            match flushed {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => break Err(error),
                Ok(()) | Err(_) => {}
            }
        };
        let blocked = matches!(&ended, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.holds_input.set(!blocked);
        if filled > 0 { Ok(filled) } else { ended.map(|()| 0) }
    }

    /// As [`try_write_vectored`](Self::try_write_vectored).
    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(buf)])
    }

    /// Writes bytes and says how many have left. Bytes that are encrypted and have not left are not among
    /// them: after `WouldBlock` the next write must begin with the same [`begun`](Self::begun) bytes.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        flush(&self.tcp, &mut session)?;
        let begun = self.begun.take();
        if begun > 0 {
            return Ok(begun);
        }
        let taken = session.writer().write_vectored(slices)?;
        match flush(&self.tcp, &mut session) {
            Ok(()) => Ok(taken),
            Err(error) => {
                self.begun.set(taken);
                Err(error)
            }
        }
    }

    /// Bytes that the last write has encrypted and not told of.
    pub(super) fn begun(&self) -> usize {
        self.begun.get()
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        if self.holds_input.get() { Ok(()) } else { self.tcp.readable().await }
    }

    /// Tells the peer that nothing follows.
    pub(super) fn say_goodbye(&self) {
        let mut session = self.session.borrow_mut();
        session.send_close_notify();
        let _ = flush(&self.tcp, &mut session); // who does not read it learns it from the socket's end
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_read_ready(cx))?;
                }
                read => return Poll::Ready(read),
            }
        }
    }

    /// Takes bytes when all that came before has left; [`poll_flush`](Self::poll_flush) sees them off.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let mut session = self.session.borrow_mut();
        let taken = session.writer().write_vectored(slices)?;
        match flush(&self.tcp, &mut session) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Poll::Ready(Err(error)),
            Ok(()) | Err(_) => Poll::Ready(Ok(taken)),
        }
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match flush(&self.tcp, &mut self.session.borrow_mut()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_write_ready(cx))?;
                }
                flushed => return Poll::Ready(flushed),
            }
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.borrow_mut().send_close_notify();
        ready!(self.poll_flush(cx))?;
        Poll::Ready(socket2::SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write))
    }
}

/// Gives the system what rustls has for it; `WouldBlock` when it does not take all.
fn flush(tcp: &TcpStream, session: &mut ServerConnection) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut Io(tcp))?;
    }
    Ok(())
}
