//! Listening sockets.

mod certificates;
mod forwarded;
mod gate;
pub(crate) mod proxy;
mod secure;
mod unix;

pub use certificates::CertificateError;
pub(crate) use gate::{Crowded, Gate, Pass, Slot, client};
#[cfg(feature = "cli")]
pub(crate) use secure::check as check_certificates;
pub(crate) use secure::{PreparedCertificates, Secure};

use super::hub::mail::Mail;
use super::shard::Shard;
use super::socket::{self, Adopted, Arrival, Stream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Connections that the system may hold for us before they are accepted.
const BACKLOG: i32 = 4096;

/// A listening socket that no runtime has taken yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, unix::Place),
}

impl Bound {
    /// The address, of a socket that has one.
    pub(crate) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(..) => Ok(None),
        }
    }
}

/// What accepts connections, and what is asked of them.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) bound: Bound,
    /// The TLS that they must speak.
    pub(crate) secure: Option<Arc<Secure>>,
    pub(crate) gate: Arc<Gate>,
}

/// Listens on an address; with `reuse_port`, beside others that do so.
pub(crate) fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    // Accepted sockets inherit it: a small message must not wait for the answer to the one before.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listens at a path, with these permissions.
pub(crate) fn bind_unix(path: &Path, mode: u32) -> io::Result<Bound> {
    unix::bind(path, mode, BACKLOG).map(|(listener, place)| Bound::Unix(listener, place))
}

/// Reads certificates anew when their files change, until the server drains.
pub(crate) async fn watch(shard: Rc<Shard>, secure: Arc<Secure>) {
    tokio::select! {
        () = shard.draining() => {}
        () = secure.watch() => {}
    }
}

/// A listening socket of this runtime.
enum Acceptor {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "it takes its file away at the end")] unix::Place,
    ),
}

impl Acceptor {
    fn new(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Bound::Unix(listener, place) => Self::Unix(UnixListener::from_std(listener)?, place),
        })
    }

    /// A connection, and the address that it comes from.
    async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Some(from.ip())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }

    /// A connection that waits already, asked of the system itself.
    fn accept_waiting(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, from) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into()).map(Stream::Tcp)?;
                Ok((stream, from.as_socket().map(|from| from.ip())))
            }
            Self::Unix(listener, _) => {
                let (socket, _) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                UnixStream::from_std(socket.into()).map(|stream| (Stream::Unix(stream), None))
            }
        }
    }
}

/// Accepts connections for all shards, in turn, until the server drains. Then it listens no more, so that the
/// system gives new connections to who else listens on the port.
pub(crate) async fn accept(shard: Rc<Shard>, listener: Listener) {
    let Listener { bound, secure, gate } = listener;
    let acceptor = match Acceptor::new(bound) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            return;
        }
    };
    let arrival = |from, pending| {
        let tls = secure.as_ref().map(|secure| secure.config());
        Box::new(Arrival { tls, gate: gate.clone(), from, pending })
    };
    let draining = shard.draining();
    tokio::pin!(draining);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = acceptor.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let pending = tokio::select! {
                    biased;
                    pending = gate.pass(shard.hub.current_config()) => Some(pending),
                    () = &mut draining => {
                        place(&shard, stream, arrival(from, None));
                        break;
                    }
                };
                place(&shard, stream, arrival(from, pending));
            }
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: the sockets that wait are not lost, and others end.
                tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Who is connected as far as the system is concerned is told to come again; it would be cut with the listener.
    while let Ok((stream, from)) = acceptor.accept_waiting() {
        place(&shard, stream, arrival(from, None));
    }
}

/// Hands a stream to the shard whose turn it is.
fn place(shard: &Rc<Shard>, stream: Stream, arrival: Box<Arrival>) {
    let target = shard.hub.next_shard();
    if target == shard.id {
        tokio::task::spawn_local(socket::serve(Rc::clone(shard), stream, arrival));
    } else if let Ok(stream) = stream.detach() {
        shard.hub.send(target, Mail::Adopt(Box::new(Adopted::Raw(stream, arrival))));
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
