//! The client's end of a connection.
//!
//! [`Client`] knows the wire and the clock. The transport, the signatures and the moment of the next attempt are the
//! adapter's business; the last of them has its arithmetic in [`reconnect`](crate::reconnect).
//!
//! # The loop around it
//!
//! ```text
//! connect the transport, then open()
//! again:
//!   handle_input() until it asks for input; flush what is in `tx`; flush as well when it asks for room
//!   wait for input, for the time of poll_timeout(), or for the application
//!   input: append it; time: handle_timeout(); end of stream: handle_eof()
//! the connection has ended: throw input and output away, ask `Reconnect` when to try again, connect, open()
//! ```
//!
//! The channels stay in the client's table over all of this, and each is subscribed to again on each connection. A
//! signature holds for one connection only, so it is asked for again, too:
//!
//! ```
//! use tidings_core::auth::{SigningKey, sign_channel};
//! use tidings_core::io::{Progress, TxBuf};
//! use tidings_core::pusher::client::{ChannelEvent, Client, ClientConfig, ClientEvent, FixedClient};
//! use tidings_core::time::Instant;
//! # use tidings_core::entropy::Entropy;
//! # struct Zeros;
//! # impl Entropy for Zeros { fn fill(&mut self, out: &mut [u8]) { out.fill(0); } }
//! # fn frame(text: &str) -> Vec<u8> { [&[0x81, text.len() as u8], text.as_bytes()].concat() }
//!
//! let config = ClientConfig::new("localhost", 6001, "app-key", 1024);
//! let key = SigningKey::new(b"app-secret");
//! let mut client: FixedClient<&str, _, 8> = Client::new(Zeros, heapless::Vec::new());
//! let orders = client.subscribe("private-orders").unwrap();
//!
//! let mut memory = [0; 1024];
//! let mut tx = TxBuf::new(&mut memory);
//! let now = Instant::from_millis(0);
//! client.open(&config, now, &mut tx).unwrap();
//! assert!(tx.written().starts_with(b"GET /app/app-key?protocol=7&"));
//! # let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";
//! # let hello = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\"}"}"#;
//! # let mut from_server = [&answer[..], &frame(hello), &frame(r#"{"event":"pusher_internal:subscription_succeeded","channel":"private-orders"}"#)].concat();
//!
//! let mut used = 0;
//! let mut subscribed = false;
//! loop {
//!     let step = client.handle_input(now, &mut from_server[used..], &mut tx).unwrap();
//!     used += step.consumed;
//!     match step.progress {
//!         Progress::Event(ClientEvent::Authorize { channel, socket_id }) => {
//!             let name = client.name(channel).unwrap();
//!             let auth = format!("app-key:{}", sign_channel(&key, &socket_id.as_text(), name, None).as_str());
//!             client.authorize(channel, socket_id, &auth, None, &mut tx).unwrap();
//!         }
//!         Progress::Event(ClientEvent::Channel { channel, event: ChannelEvent::Subscribed { .. } }) => {
//!             subscribed = channel == orders;
//!         }
//!         Progress::Event(_) | Progress::Advanced => {}
//!         Progress::NeedOutput { .. } => tx.clear(), // after it was sent
//!         Progress::NeedInput { .. } => break,
//!     }
//! }
//! assert!(subscribed);
//! ```

mod command;
mod config;
mod event;
mod input;
mod machine;
#[cfg(feature = "resume")]
mod resume;
mod table;
#[cfg(all(test, feature = "client"))]
mod tests;

pub use config::ClientConfig;
pub use event::{ChannelEvent, ClientEvent};
pub use machine::{Client, MIN_TX, Timeout};
#[cfg(feature = "resume")]
pub use table::Position;
pub use table::{ChannelId, Slot, Subscription, Table};

/// A client with a table of at most `CHANNELS` channels, without a heap.
pub type FixedClient<N, R, const CHANNELS: usize> = Client<R, heapless::Vec<Slot<N>, CHANNELS>>;
