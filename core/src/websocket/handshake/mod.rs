//! The opening handshake (RFC 6455 section 4), and the HTTP/1.1 heads that it is made of.
//!
//! A server reads a [`RequestHead`], turns it into an [`UpgradeRequest`] and [accepts](UpgradeRequest::accept) it, or
//! writes the [`Refusal`] that it got. A client [starts](ClientHandshake::start) a [`ClientHandshake`] and reads the answer
//! with the [`AwaitingResponse`] that it gets. Bytes after a head belong to what follows it and stay in the
//! caller's buffer: frames are often in the same segment.
//!
//! ```
//! use tidings_core::io::{Parse, TxBuf};
//! use tidings_core::websocket::handshake::{
//!     AwaitingResponse, ClientHandshake, HeadLimits, RequestHead, UpgradeRequest,
//! };
//!
//! let (mut client_memory, mut server_memory) = ([0; 512], [0; 512]);
//! let mut to_server = TxBuf::new(&mut client_memory);
//! let request = ClientHandshake::new("example.com", 6001, "/app/key?protocol=7");
//! let awaiting: AwaitingResponse<'_> = request.start([7; 16], &mut to_server).unwrap();
//!
//! let mut to_client = TxBuf::new(&mut server_memory);
//! let Parse::Done { value: head, .. } =
//!     RequestHead::parse(to_server.written(), HeadLimits::new()).unwrap() else { unreachable!() };
//! match UpgradeRequest::from_head(&head) {
//!     Ok(upgrade) => {
//!         assert_eq!(upgrade.target, "/app/key?protocol=7");
//!         upgrade.accept(None, &mut to_client).unwrap();
//!     }
//!     Err(refusal) => refusal.write(&mut to_client).unwrap(),
//! }
//!
//! let answer = awaiting.read_response(to_client.written(), HeadLimits::new()).unwrap();
//! assert!(matches!(answer, Parse::Done { .. }));
//! ```

#[cfg(any(feature = "client-basic", feature = "server"))]
use crate::error::TxFull;
#[cfg(any(feature = "client-basic", feature = "server"))]
use crate::io::TxBuf;

#[cfg(any(feature = "client-basic", feature = "server"))]
mod accept;
#[cfg(feature = "client-basic")]
mod client;
#[cfg(any(feature = "client-basic", feature = "server"))]
mod digest;
mod fields;
mod head;
#[cfg(all(feature = "client-basic", feature = "small"))]
mod lines;
#[cfg(feature = "server")]
mod refusal;
mod scan;
#[cfg(feature = "server")]
mod server;
#[cfg(all(test, feature = "client-basic", feature = "server"))]
mod tests;

#[cfg(feature = "server")]
pub use accept::accept_key;
#[cfg(feature = "client-basic")]
pub use client::{Accepted, AwaitingResponse, ClientHandshake, HandshakeError};
pub use fields::{Field, FieldIter, Fields};
pub use head::{HeadError, HeadLimits, HeadScanner, RequestHead, ResponseHead, Version};
#[cfg(feature = "server")]
pub use refusal::Refusal;
#[cfg(feature = "server")]
pub use server::UpgradeRequest;

/// Appends all parts or none.
#[cfg(any(feature = "client-basic", feature = "server"))]
fn put_all(tx: &mut TxBuf<'_>, parts: &[&[u8]]) -> Result<(), TxFull> {
    tx.reserve(parts.iter().fold(0, |sum, part| sum.saturating_add(part.len())))?;
    parts.iter().try_for_each(|part| tx.put(part))
}
