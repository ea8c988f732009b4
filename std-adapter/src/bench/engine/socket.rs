//! Sockets that begin to connect.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Loopback addresses to connect from, in turn: each gives as many connections as there are ports.
const SOURCES: u8 = 8;

/// Begins to connect without waiting; on loopback, from the address that is next.
pub(super) fn connect(to: SocketAddr, next_source: &mut u8) -> io::Result<TcpStream> {
    let socket =
        Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if to.is_ipv4() && to.ip().is_loopback() {
        // The port is chosen by connect, so that one port can serve several destinations.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        let source = SocketAddr::from(([127, 0, 0, 1 + *next_source], 0));
        *next_source = (*next_source + 1) % SOURCES;
        socket.bind(&source.into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
