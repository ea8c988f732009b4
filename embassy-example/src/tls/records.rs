//! The two halves of a connection, and what of the server's records reaches the TLS engine.

use core::cell::Cell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, ReadExactError, Write};

use super::Failure;

/// The types of records (RFC 8446, section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// An encrypted record has a type and a tag at least.
const SHORTEST_ENCRYPTED: u16 = 17;

/// A transport in two halves, such as those of a TCP socket, to be secured. One task owns it.
#[derive(Debug)]
pub struct Wire<R, W> {
    reader: Mutex<NoopRawMutex, Records<R>>,
    writer: Mutex<NoopRawMutex, W>,
    /// Whether the handshake is over.
    secured: Cell<bool>,
    /// The longest record there is room for.
    limit: Cell<u16>,
    failure: Cell<Option<Failure>>,
}

/// Where the reader stands between two records.
#[derive(Debug)]
struct Records<R> {
    io: R,
    header: [u8; 5],
    /// How many bytes of the header the engine has.
    given: usize,
    /// How many bytes of the record are still to come.
    left: u16,
    /// Whether a record has come at all.
    begun: bool,
}

impl<R: Read, W: Write> Wire<R, W> {
    /// A wire over these halves, over which nothing has passed yet.
    pub const fn new(reader: R, writer: W) -> Self {
        let records = Records { io: reader, header: [0; 5], given: 5, left: 0, begun: false };
        Self {
            reader: Mutex::new(records),
            writer: Mutex::new(writer),
            secured: Cell::new(false),
            limit: Cell::new(0),
            failure: Cell::new(None),
        }
    }

    pub(super) fn limit(&self, bytes: usize) {
        self.limit.set(u16::try_from(bytes).unwrap_or(u16::MAX));
    }

    pub(super) fn secured(&self) {
        self.secured.set(true);
    }

    /// What was wrong with a record, when something was.
    pub(super) const fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// The engine would panic on some records, which anybody in between could send; those never reach it.
    fn check(&self, [kind, _, _, high, low]: [u8; 5], first: bool) -> Result<u16, Failure> {
        let length = u16::from_be_bytes([high, low]);
        match kind {
            APPLICATION_DATA if length < SHORTEST_ENCRYPTED => Err(Failure::Protocol),
            APPLICATION_DATA => Ok(()),
            // What is in the open after the handshake is not from the server.
            ALERT | CHANGE_CIPHER_SPEC | HANDSHAKE if self.secured.get() => Err(Failure::Protocol),
            ALERT | CHANGE_CIPHER_SPEC | HANDSHAKE => Ok(()),
            _ if first => Err(Failure::NotTls),
            _ => Err(Failure::Protocol),
        }?;
        if length > self.limit.get() { Err(Failure::RecordTooLong(length)) } else { Ok(length) }
    }

    async fn read(&self, records: &mut Records<R>, out: &mut [u8]) -> Result<usize, ErrorKind> {
        if records.given == records.header.len() && records.left == 0 {
            match records.io.read_exact(&mut records.header).await {
                Ok(()) => {}
                Err(ReadExactError::UnexpectedEof) => return Ok(0),
                Err(ReadExactError::Other(error)) => return Err(error.kind()),
            }
            let checked = self.check(records.header, !records.begun);
            records.left = checked.map_err(|failure| {
                self.failure.set(Some(failure));
                ErrorKind::InvalidData
            })?;
            records.given = 0;
            records.begun = true;
        }
        let header = records.header.get(records.given..).unwrap_or_default();
        if !header.is_empty() {
            let count = header.len().min(out.len());
            out.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
            records.given = records.given.saturating_add(count);
            return Ok(count);
        }
        let room = out.len().min(usize::from(records.left));
        let out = out.get_mut(..room).unwrap_or_default();
        let count = records.io.read(out).await.map_err(|error| error.kind())?;
        records.left = records.left.saturating_sub(u16::try_from(count).unwrap_or(u16::MAX));
        Ok(count)
    }
}

/// The engine's hold of a wire. It has one for each direction, and so never asks for a half that is in use.
#[derive(Debug)]
pub(super) struct Hold<'w, R, W>(pub(super) &'w Wire<R, W>);

impl<R, W> Clone for Hold<'_, R, W> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<R: Read, W: Write> ErrorType for Hold<'_, R, W> {
    type Error = ErrorKind;
}

impl<R: Read, W: Write> Read for Hold<'_, R, W> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut records = self.0.reader.lock().await;
        self.0.read(&mut records, out).await
    }
}

impl<R: Read, W: Write> Write for Hold<'_, R, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.writer.lock().await.write(bytes).await.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.writer.lock().await.flush().await.map_err(|error| error.kind())
    }
}

#[cfg(test)]
mod tests;
