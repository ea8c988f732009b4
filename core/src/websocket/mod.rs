//! WebSocket, RFC 6455, both roles, without I/O and without memory of its own.
//!
//! [`Connection`] is one end of an open connection. The adapter reads bytes into its buffer and steps until
//! the connection needs input; answers (pongs, the answer to a close frame) are in the output buffer when
//! the step returns.
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use tidings_core::io::{Progress, RxBuf, Step, TxBuf};
//! use tidings_core::limits::Limits;
//! use tidings_core::websocket::{Connection, Event, ServerRole, State};
//!
//! /// Sends each message back, until the peer closes or breaks a rule.
//! fn echo(socket: &mut (impl Read + Write)) -> io::Result<()> {
//!     let limits = Limits::new().max_message(1024);
//!     let mut connection = Connection::new(ServerRole, limits);
//!     let (mut rx_memory, mut tx_memory) = ([0; 2048], [0; 2048]);
//!     let (mut rx, mut tx) = (RxBuf::new(&mut rx_memory), TxBuf::new(&mut tx_memory));
//!     loop {
//!         let Step { consumed, progress } = match connection.handle_input(rx.filled_mut(), &mut tx) {
//!             Ok(step) => step,
//!             Err(error) => {
//!                 connection.fail(error, &mut tx).map_err(io::Error::other)?;
//!                 return socket.write_all(tx.written());
//!             }
//!         };
//!         let starved = matches!(progress, Progress::NeedInput { .. });
//!         match progress {
//!             Progress::Event(Event::Message { kind, payload }) => {
//!                 // The longest echo may not fit behind what is there.
//!                 if connection.send(kind, payload, &mut tx).is_err() {
//!                     socket.write_all(tx.written())?;
//!                     tx.clear();
//!                     connection.send(kind, payload, &mut tx).map_err(io::Error::other)?;
//!                 }
//!             }
//!             Progress::Event(_) | Progress::Advanced => {}
//!             Progress::NeedOutput { .. } | Progress::NeedInput { .. } => {
//!                 socket.write_all(tx.written())?;
//!                 tx.clear();
//!                 if connection.state() != State::Open {
//!                     return Ok(());
//!                 }
//!             }
//!         }
//!         rx.consume(consumed);
//!         if starved {
//!             match socket.read(rx.spare_mut())? {
//!                 0 => return connection.handle_eof().map_err(io::Error::other),
//!                 n => rx.commit(n),
//!             }
//!         }
//!     }
//! }
//!
//! # struct Pipe(io::Cursor<Vec<u8>>, Vec<u8>);
//! # impl Read for Pipe {
//! #     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
//! #         let n = buf.len().min(3);
//! #         self.0.read(&mut buf[..n])
//! #     }
//! # }
//! # impl Write for Pipe {
//! #     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
//! #         self.1.write(buf)
//! #     }
//! #     fn flush(&mut self) -> io::Result<()> {
//! #         Ok(())
//! #     }
//! # }
//! # let mut pipe = Pipe(io::Cursor::new(b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xE8".to_vec()), vec![]);
//! # echo(&mut pipe).unwrap();
//! # assert_eq!(pipe.1, b"\x81\x02hi\x8A\x00\x88\x02\x03\xE8");
//! ```
//!
//! The parts can be used alone: [`Header`] reads and writes frame headers, [`Mask`] masks, [`Decoder`] gives
//! messages and control frames without answering them, [`encode_frame`] and [`write_frame`] write frames.
//! A server that sends one message to many writes the frame once, unmasked, and sends the same bytes to all.
//!
//! # Limits
//!
//! A message over [`Limits::max_message`](crate::limits::Limits::max_message) is refused (or skipped) as
//! soon as the header that exceeds it is there, before a byte of that frame is looked at; fragments are
//! summed up. Extensions are not offered and not accepted, so the reserved bits must be zero and no payload
//! ever grows.

mod assembler;
mod close;
mod connection;
mod decoder;
mod encoder;
mod error;
mod frame;
pub mod handshake;
mod header;
mod mask;
mod opcode;
mod role;
mod utf8;

pub use close::CloseCode;
pub use connection::{Connection, Event, MIN_TX, State};
pub use decoder::Decoder;
pub(crate) use encoder::{begin_frame, mask_from};
pub use encoder::{encode_frame, write_frame};
pub use error::PeerError;
pub use frame::{Frame, Piece};
pub use header::Header;
pub use mask::Mask;
pub use opcode::{MessageKind, Opcode};
pub use role::{ClientRole, Masking, Role, ServerRole};
