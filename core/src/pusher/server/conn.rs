//! The connection's machine.

use super::command::{Command, read};
use super::config::ServerConfig;
use super::event::ServerEvent;
use super::fault::{Fault, Refusal};
use crate::error::{CapacityError, SendError, TxFull, UsageError};
use crate::io::{Progress, Step, TxBuf};
use crate::pusher::{
    Closed, ErrorCode, Initiator, SocketId, encode_connection_established, encode_error,
    encode_pong,
};
use crate::time::{Deadline, Instant, Timer};
use crate::websocket::{CloseCode, Connection, Event, MessageKind, PeerError, ServerRole};

/// The room in the output buffer that a step asks for: more than the longest answer.
pub const MIN_TX: usize = 1024;

/// A close frame at its longest.
const MAX_CLOSE_FRAME: usize = 2 + 125;
/// What of it can be the reason (RFC 6455 section 5.5).
const MAX_REASON: usize = 123;

/// The server's end of one connection, from the moment that its opening handshake is done.
///
/// The adapter answers the HTTP request, then calls [`establish`](Self::establish) or [`refuse`](Self::refuse), and
/// from then on feeds input and time:
///
/// ```
/// use tidings_core::io::{Progress, TxBuf};
/// use tidings_core::pusher::server::{ServerConfig, ServerConn, ServerEvent};
/// use tidings_core::pusher::{SocketId, encode_subscription_succeeded};
/// use tidings_core::time::Instant;
///
/// let config = ServerConfig::new();
/// let mut memory = [0; 4096];
/// let mut tx = TxBuf::new(&mut memory);
/// let now = Instant::from_millis(0);
/// let mut conn = ServerConn::new(SocketId::new(123, 456), &config, now);
/// conn.establish(&config, now, &mut tx).unwrap();
///
/// // A client's frame; the masking key is zero, so that the text can be read here.
/// let text = br#"{"event":"pusher:subscribe","data":{"auth":"","channel":"news"}}"#;
/// let mut input = [b"\x81\xC0\0\0\0\0", &text[..]].concat();
/// let step = conn.handle_input(&config, now, &mut input, &mut tx).unwrap();
/// let Progress::Event(ServerEvent::Subscribe { channel, .. }) = step.progress else {
///     panic!("another event");
/// };
/// encode_subscription_succeeded(&mut tx, channel.as_str()).unwrap();
/// assert_eq!(step.consumed, 6 + text.len());
/// ```
///
/// Each input and each due timer is one call, and each call either does all of its work or changes nothing.
/// What the adapter itself sends (acknowledgements, events) needs no connection: see the functions `encode_*`.
///
/// Any input, control frames included, shows that the client is alive; what is sent to it shows nothing.
/// After [`activity_timeout_s`](ServerConfig::activity_timeout_s) of silence it is pinged by a WebSocket ping,
/// which every client's stack answers, and after [`pong_timeout_s`](ServerConfig::pong_timeout_s) more it is
/// closed with 4201.
///
/// ```text
///       establish()            silence: ping is sent
///  New ─────────────▶ Open ─────────────────────────▶ Pinged
///   │                 │  ▲ ─────────── input ─────────── │
///   │ refuse()        │ close()                          │ silence: closed with 4201
///   └────────────▶ Closing ◀─────────────────────────────┘
///                     │ the client's close frame, or no answer in time
///                     ▼
///                  Closed ◀── from any: the client's close frame, fail(), handle_eof()
/// ```
#[derive(Debug)]
pub struct ServerConn {
    websocket: Connection<ServerRole>,
    socket_id: SocketId,
    /// When the phase began; in `Open`, when the last input came.
    since: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Open,
    Pinged,
    Closing,
    Closed,
}

/// What a call of [`ServerConn::handle_timeout`] did.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// The client has been silent for too long: `pusher:error` and a close frame, both with 4201, are written.
    /// Clean up, flush, and wait for the client's answer.
    Closing,
    /// The closing handshake takes too long: end the transport.
    Drop,
    /// Nothing was due.
    Early,
    /// A ping is written.
    Pinged,
}

impl ServerConn {
    /// A connection whose opening handshake is done.
    #[must_use]
    pub const fn new(socket_id: SocketId, config: &ServerConfig, now: Instant) -> Self {
        Self {
            websocket: Connection::new(ServerRole, config.limits),
            socket_id,
            since: now,
            phase: Phase::New,
        }
    }

    /// The id of the connection.
    #[must_use]
    pub const fn socket_id(&self) -> SocketId {
        self.socket_id
    }

    /// Whether the connection is established and neither end has begun to close it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Pinged)
    }

    /// The one place where the phase changes.
    const fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// Writes `pusher:connection_established`. Register the connection before, so that a publish that follows at
    /// once finds it.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`] when called twice or after [`refuse`](Self::refuse), or [`TxFull`]; nothing changed.
    pub fn establish(
        &mut self,
        config: &ServerConfig,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if self.phase != Phase::New {
            return Err(UsageError::NotOpen.into());
        }
        encode_connection_established(tx, self.socket_id, config.effective_activity_timeout_s())?;
        self.enter(Phase::Open, now);
        Ok(())
    }

    /// Turns the client away instead of [establishing](Self::establish) the connection: writes `pusher:error`, then
    /// a close frame with the same code.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn refuse(
        &mut self,
        code: ErrorCode,
        message: &str,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if self.phase != Phase::New {
            return Err(UsageError::NotOpen.into());
        }
        self.put_close(code, message, now, tx)
    }

    /// Ends an established connection: writes `pusher:error`, then a close frame with the same code. Send nothing
    /// afterwards.
    ///
    /// With a code below 4000, one of WebSocket's own, only the close frame is written. The reason in the close
    /// frame is the message as far as it fits, 123 bytes.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`]; [`UsageError::CloseCode`] for a code that must not close a connection, as all
    /// from 4300 on; or [`TxFull`]. Nothing changed then.
    pub fn close(
        &mut self,
        code: ErrorCode,
        message: &str,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(UsageError::NotOpen.into());
        }
        self.put_close(code, message, now, tx)
    }

    fn put_close(
        &mut self,
        code: ErrorCode,
        message: &str,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if code.as_u16() >= 4000 && !code.closes() {
            return Err(UsageError::CloseCode.into());
        }
        let start = tx.len();
        if code.closes() {
            encode_error(tx, Some(code), &message).map_err(|full| more(full, MAX_CLOSE_FRAME))?;
        }
        let written = tx.len().saturating_sub(start);
        let close = CloseCode::new(code.as_u16());
        if let Err(error) = self.websocket.close(close, reason(message), tx) {
            tx.truncate(start);
            return Err(match error {
                SendError::Capacity(CapacityError::Tx(full)) => more(full, written).into(),
                SendError::Capacity(CapacityError::Channels) | SendError::Usage(_) => error,
            });
        }
        self.enter(Phase::Closing, now);
        Ok(())
    }

    /// Works on at most one frame at the front of `input`.
    ///
    /// A step asks for [`MIN_TX`] bytes of room before it does anything. Pings, in both of their forms, are
    /// answered inside, and so is what cannot be understood. Before [`establish`](Self::establish) nothing is read;
    /// after the end what comes is thrown away.
    ///
    /// # Errors
    /// The WebSocket rule that the client broke: call [`fail`](Self::fail) with it, flush, and end the transport.
    pub fn handle_input<'i>(
        &mut self,
        config: &ServerConfig,
        now: Instant,
        input: &'i mut [u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<Step<ServerEvent<'i>>, PeerError> {
        if self.phase == Phase::New {
            return Ok(Step::need_input(1));
        }
        if self.is_open() {
            if tx.remaining() < MIN_TX {
                return Ok(Step::need_output(MIN_TX));
            }
            if !input.is_empty() {
                self.enter(Phase::Open, now);
            }
        }
        let Step { consumed, progress } = self.websocket.handle_input(input, tx)?;
        let event = match progress {
            Progress::Event(event) => event,
            Progress::Advanced => return Ok(Step::advanced(consumed)),
            Progress::NeedInput { at_least } => return Ok(Step::need_input(at_least)),
            Progress::NeedOutput { at_least } => return Ok(Step::need_output(at_least)),
        };
        let outcome = match event {
            Event::Message { kind: MessageKind::Text, payload } => match read(config, payload) {
                Ok(Command::Event(event)) => Ok(event),
                Ok(Command::Ping) => {
                    let written = encode_pong(tx, None);
                    debug_assert!(written.is_ok(), "room was checked before the step");
                    return Ok(Step::advanced(consumed));
                }
                Ok(Command::Pong) => return Ok(Step::advanced(consumed)),
                Err(refusal) => Err(refusal),
            },
            Event::Message { kind: MessageKind::Binary, .. } => Err(Fault::Binary.into()),
            Event::Skipped { size } => {
                Err(Fault::TooLarge { size, max: config.limits.max_message }.into())
            }
            Event::Closed { code, .. } => {
                Ok(ServerEvent::Closed(self.end(code.map(CloseCode::as_u16), now)))
            }
            Event::Ping(_) | Event::Pong(_) | Event::Piece(_) => {
                return Ok(Step::advanced(consumed));
            }
        };
        let event = outcome.unwrap_or_else(|refusal: Refusal<'_>| {
            let written = refusal.answer(tx);
            debug_assert!(written.is_ok(), "room was checked before the step");
            ServerEvent::Malformed(refusal.fault)
        });
        Ok(Step::event(consumed, event))
    }

    /// Goes to `Closed` and tells who began.
    const fn end(&mut self, code: Option<u16>, now: Instant) -> Closed {
        let by = match self.phase {
            Phase::Closing => Initiator::Local,
            Phase::New | Phase::Open | Phase::Pinged | Phase::Closed => Initiator::Peer,
        };
        self.enter(Phase::Closed, now);
        Closed { by, code }
    }

    /// Ends the connection because of a broken rule: writes a close frame that says which, if one can still be
    /// written. Flush, and end the transport.
    ///
    /// # Errors
    /// [`TxFull`]; nothing changed. Right after the step that gave the error there is room.
    pub fn fail(&mut self, error: PeerError, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        self.websocket.fail(error, tx)?;
        self.enter(Phase::Closed, self.since);
        Ok(())
    }

    /// The transport has ended.
    pub fn handle_eof(&mut self) -> Closed {
        // Whether a closing handshake came before is told by the phase.
        let _ = self.websocket.handle_eof();
        self.end(None, self.since)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why. It changes with every input.
    #[must_use]
    pub const fn poll_timeout(&self, config: &ServerConfig) -> Option<Deadline> {
        let (span, timer) = match self.phase {
            Phase::New | Phase::Closed => return None,
            Phase::Open => (config.activity_timeout(), Timer::Activity),
            Phase::Pinged => (config.pong_timeout(), Timer::Pong),
            Phase::Closing => (config.close_timeout(), Timer::Close),
        };
        Some(Deadline { at: self.since.saturating_add(span), timer })
    }

    /// Does what is due at `now`. An early call does nothing; after a late one the client still has its whole
    /// time to answer.
    ///
    /// # Errors
    /// [`TxFull`]; nothing changed.
    pub fn handle_timeout(
        &mut self,
        config: &ServerConfig,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<Timeout, TxFull> {
        let Some(Deadline { at, .. }) = self.poll_timeout(config) else {
            return Ok(Timeout::Early);
        };
        if now < at {
            return Ok(Timeout::Early);
        }
        let (sent, outcome) = match self.phase {
            Phase::Open => {
                let sent = self.websocket.ping(&[], tx);
                if sent.is_ok() {
                    self.enter(Phase::Pinged, now);
                }
                (sent, Timeout::Pinged)
            }
            Phase::Pinged => {
                let text = "Pong reply not received in time";
                (self.close(ErrorCode::PONG_MISSING, text, now, tx), Timeout::Closing)
            }
            Phase::New | Phase::Closing | Phase::Closed => {
                self.enter(Phase::Closed, now);
                (Ok(()), Timeout::Drop)
            }
        };
        match sent {
            Ok(()) => Ok(outcome),
            Err(SendError::Capacity(CapacityError::Tx(full))) => Err(full),
            Err(SendError::Capacity(CapacityError::Channels) | SendError::Usage(_)) => {
                debug_assert!(false, "an open connection can be written to");
                self.enter(Phase::Closed, now);
                Ok(Timeout::Drop)
            }
        }
    }
}

/// The need of two frames, of which one alone did not fit.
const fn more(full: TxFull, other: usize) -> TxFull {
    TxFull { at_least: full.at_least.saturating_add(other) }
}

/// As much of `message` as fits a close frame.
fn reason(message: &str) -> &str {
    let mut len = message.len().min(MAX_REASON);
    while !message.is_char_boundary(len) {
        len = len.saturating_sub(1);
    }
    message.get(..len).unwrap_or_default()
}
