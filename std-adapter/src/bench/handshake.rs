//! A client's opening handshake, many times over.

use std::io;

use tidings_core::io::{Parse, TxBuf};
use tidings_core::websocket::handshake::{
    ClientHandshake, HeadLimits, RequestHead, ResponseHead, accept_key,
};

use super::server::Target;

/// What is the same in every handshake with one server.
#[derive(Debug)]
pub(crate) struct Upgrade {
    host: String,
    port: u16,
    path: String,
}

/// The proof that the answer must have.
#[derive(Debug)]
pub(crate) struct Awaiting([u8; 28]);

impl Upgrade {
    pub(crate) fn new(target: &Target) -> Self {
        let host = target.host.rsplit_once(':').map_or(&*target.host, |(host, _)| host).to_owned();
        let version = env!("CARGO_PKG_VERSION");
        let path = format!("/app/{}?protocol=7&client=tidings-bench&version={version}", target.key);
        Self { host, port: target.addr.port(), path }
    }

    /// A request with a key of its own.
    pub(crate) fn start(&self) -> io::Result<(Vec<u8>, Awaiting)> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let mut memory = vec![0; 512 + self.host.len() + self.path.len()];
        let mut tx = TxBuf::new(&mut memory);
        let handshake = ClientHandshake::new(&self.host, self.port, &self.path);
        let _ = handshake.start(nonce, &mut tx).map_err(io::Error::other)?;
        let request = tx.written().to_vec();
        // The awaited answer is kept for thousands of connections, so it borrows nothing.
        let proof = match RequestHead::parse(&request, HeadLimits::new()) {
            Ok(Parse::Done { value, .. }) => value.header("sec-websocket-key").and_then(accept_key),
            Ok(Parse::NeedMore { .. }) | Err(_) => None,
        };
        let proof = proof.ok_or_else(|| io::Error::other("a request without a key"))?;
        Ok((request, Awaiting(proof)))
    }
}

/// The length of the answer's head, once it is whole.
///
/// # Errors
/// What the server answered in place of an upgrade.
pub(crate) fn accepted(awaiting: &Awaiting, buf: &[u8]) -> Result<Option<usize>, String> {
    match ResponseHead::parse(buf, HeadLimits::new()) {
        Ok(Parse::NeedMore { .. }) => Ok(None),
        Ok(Parse::Done { value, consumed }) => match value.header("sec-websocket-accept") {
            _ if value.status != 101 => Err(format!("status {} in place of 101", value.status)),
            Some(proof) if proof == awaiting.0 => Ok(Some(consumed)),
            _ => Err("a Sec-WebSocket-Accept that does not fit the key".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}
