//! The HTTP API from the side of an application: one signed request into a buffer, and its answer.
//!
//! For a device that only reports now and then, and keeps no connection: connect the transport, send what
//! [`Rest::encode_publish`] wrote, read until [`RestReader`] has the answer.
//!
//! ```
//! use tidings_core::auth::SigningKey;
//! use tidings_core::io::{Parse, TxBuf};
//! use tidings_core::pusher::rest::{Rest, RestEvent, RestReader};
//!
//! let signing = SigningKey::new(b"app-secret");
//! let rest = Rest::new("localhost", 6001, "app-id", "app-key", &signing);
//! let mut memory = [0; 1024];
//! let mut tx = TxBuf::new(&mut memory);
//! let reading = RestEvent::new("telemetry", "reading", r#"{"celsius":21.5}"#.into());
//! rest.encode_publish(&reading, 1_700_000_000, &mut tx).unwrap();
//! assert!(tx.written().starts_with(b"POST /apps/app-id/events?auth_key=app-key&"));
//!
//! let mut answer = *b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
//! let Ok(Parse::Done { value, .. }) = RestReader::new().read(&mut answer, false) else { panic!("it is whole") };
//! assert_eq!((value.status, value.body), (200, &b"{}"[..]));
//! ```

mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::{Rest, RestEvent};
pub use response::{RestAnswer, RestError, RestReader};
