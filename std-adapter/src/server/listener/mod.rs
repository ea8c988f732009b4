//! Listening sockets.

mod certificates;
mod secure;

pub use certificates::CertificateError;
pub(crate) use secure::Secure;
#[cfg(feature = "cli")]
pub(crate) use secure::check as check_certificates;

use super::hub::mail::Mail;
use super::shard::Shard;
use super::socket::{self, Adopted, Arrival, Detached, Stream};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections that the system may hold for us before they are accepted.
const BACKLOG: i32 = 4096;

/// A listening socket that no runtime has taken yet.
#[derive(Debug)]
pub(crate) struct Bound(std::net::TcpListener);

impl Bound {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) fn into_inner(self) -> std::net::TcpListener {
        self.0
    }
}

/// What accepts connections, and what is asked of them.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) bound: Bound,
    /// The TLS that they must speak.
    pub(crate) secure: Option<Arc<Secure>>,
}

pub(crate) fn bind(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it: a small message must not wait for the answer to the one before.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Bound(socket.into()))
}

/// Reads certificates anew when their files change, until the server drains.
pub(crate) async fn watch(shard: Rc<Shard>, secure: Arc<Secure>) {
    tokio::select! {
        () = shard.draining() => {}
        () = secure.watch() => {}
    }
}

/// Accepts connections for all shards, in turn, until the server drains.
pub(crate) async fn accept(shard: Rc<Shard>, listener: Listener) {
    let Listener { bound, secure } = listener;
    let listener = match TcpListener::from_std(bound.0) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            return;
        }
    };
    let draining = shard.draining();
    tokio::pin!(draining);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                place(&shard, stream, Arrival { tls: secure.as_ref().map(|s| s.config()) });
            }
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: the sockets that wait are not lost, and others end.
                tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Hands a stream to the shard whose turn it is.
fn place(shard: &Rc<Shard>, stream: tokio::net::TcpStream, arrival: Arrival) {
    let target = shard.hub.next_shard();
    if target == shard.id {
        tokio::task::spawn_local(socket::serve(Rc::clone(shard), Stream::Tcp(stream), arrival));
    } else if let Ok(stream) = stream.into_std() {
        shard.hub.send(target, Mail::Adopt(Box::new(Adopted::Raw(Detached::Tcp(stream), arrival))));
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
