//! The connection's machine: its states, its clock and its end.

use super::config::ClientConfig;
use super::event::ClientEvent;
use super::table::{ChannelId, Slot, Subscription, Table};
use crate::entropy::Entropy;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::TxBuf;
use crate::pusher::{Advice, Closed, ErrorCode, Initiator, SocketId, encode_ping};
use crate::time::{Deadline, Instant, Timer};
use crate::websocket::handshake::{AwaitingResponse, ClientHandshake};
use crate::websocket::{ClientRole, CloseCode, Connection, PeerError};

/// The room in the output buffer that a step asks for: more than the longest answer.
pub const MIN_TX: usize = crate::websocket::MIN_TX;

/// What the opening request says about the program that connects.
const QUERY: &str =
    concat!("?protocol=7&client=tidings&version=", env!("CARGO_PKG_VERSION"), "&flash=false");

/// The client's end of a connection, over any number of connections in turn: it opens, keeps and closes them, and puts
/// every channel of its table in force again on each.
///
/// See the [module](super) for the loop around it.
///
/// ```text
///        open()              101               pusher:connection_established
///  Idle ───────▶ Upgrading ─────▶ Establishing ─────────────────────────────▶ Online ◀──▶ Pinged
///   ▲                │                 │                                        │ close()   │ silence
///   │                ▼                 ▼                                        ▼           │
///   └───────────── end of stream, refusal, time-out, the server's close ◀── Closing ◀───────┘
/// ```
#[derive(Debug)]
pub struct Client<R, T> {
    pub(super) websocket: Connection<ClientRole<R>>,
    pub(super) table: T,
    pub(super) awaiting: Option<AwaitingResponse<'static>>,
    pub(super) socket_id: SocketId,
    /// When the phase began; in `Online`, when the last input came.
    pub(super) since: Instant,
    /// The next place to look at for a subscription that waits.
    pub(super) cursor: u16,
    /// What the server has announced, in seconds; 0 for nothing.
    pub(super) activity_s: u16,
    /// The last error that ends connections; 0 for none.
    pub(super) error: u16,
    pub(super) phase: Phase,
    pub(super) sign_in: SignIn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Upgrading,
    Establishing,
    Online,
    Pinged,
    Closing,
}

/// How far the sign-in has come on the present connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignIn {
    Unwanted,
    Waiting,
    Authorizing,
    Requested,
    Done,
}

/// What a call of [`Client::handle_timeout`] did.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// The server is silent, or too slow to open or close the connection, which has ended: end the transport.
    Drop {
        /// Whether to come back.
        advice: Advice,
        /// What was waited for.
        timer: Timer,
    },
    /// Nothing was due.
    Early,
    /// A ping is written.
    Pinged,
}

impl<R: Entropy, T: Table> Client<R, T> {
    /// A client without a connection. `table` says how many channels it can have; it may be empty, as
    /// `heapless::Vec::new()` is.
    #[must_use]
    pub const fn new(entropy: R, table: T) -> Self {
        Self {
            websocket: Connection::new(
                ClientRole(entropy),
                crate::limits::Limits::new().max_message(0),
            ),
            table,
            awaiting: None,
            socket_id: SocketId::new(0, 0),
            since: Instant::from_millis(0),
            cursor: 0,
            activity_s: 0,
            error: 0,
            phase: Phase::Idle,
            sign_in: SignIn::Unwanted,
        }
    }

    /// Whether the connection is established and neither end has begun to close it.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online | Phase::Pinged)
    }

    /// Whether there is neither a connection nor an attempt at one.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// The id of the connection, while there is one.
    #[must_use]
    pub const fn socket_id(&self) -> Option<SocketId> {
        if self.is_online() { Some(self.socket_id) } else { None }
    }

    /// The channels.
    pub const fn table(&self) -> &T {
        &self.table
    }

    /// The channel with this name, if it is in the table.
    pub fn find(&self, name: &str) -> Option<ChannelId> {
        let place = self.table.find(name)?;
        let generation = self.table.slots().get(place)?.generation;
        Some(ChannelId { index: u16::try_from(place).ok()?, generation })
    }

    /// The name of a channel; `None` when it was given up.
    pub fn name(&self, channel: ChannelId) -> Option<&T::Name> {
        self.slot(channel)?.name.as_ref()
    }

    /// How far a subscription has come; `None` when it was given up.
    pub fn subscription(&self, channel: ChannelId) -> Option<Subscription> {
        Some(self.slot(channel)?.subscription)
    }

    pub(super) fn slot(&self, channel: ChannelId) -> Option<&Slot<T::Name>> {
        let slot = self.table.slots().get(channel.index())?;
        (slot.name.is_some() && slot.generation == channel.generation).then_some(slot)
    }

    pub(super) fn slot_mut(
        &mut self,
        channel: ChannelId,
    ) -> Result<&mut Slot<T::Name>, UsageError> {
        self.table
            .slots_mut()
            .get_mut(channel.index())
            .filter(|slot| slot.name.is_some() && slot.generation == channel.generation)
            .ok_or(UsageError::ChannelUnknown)
    }

    /// The one place where the phase changes.
    pub(super) const fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    pub(super) fn mask(&mut self) -> [u8; 4] {
        self.websocket.next_key().unwrap_or_default()
    }

    /// Begins a connection: writes the opening request. The transport is connected, and nothing was read from it.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`] while the last connection has not ended, [`UsageError::HandshakeField`] when a part of
    /// the configuration has characters that break a request, or [`TxFull`]. Nothing changed then.
    #[inline(never)]
    pub fn open(
        &mut self,
        config: &ClientConfig<'_>,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if self.phase != Phase::Idle {
            return Err(UsageError::NotOpen.into());
        }
        let key_is_plain = config.key.bytes().all(|byte| !matches!(byte, b'/' | b'?' | b'#'));
        if config.key.is_empty() || !key_is_plain {
            return Err(UsageError::HandshakeField.into());
        }
        let mut nonce = [0; 16];
        self.websocket.entropy().fill(&mut nonce);
        let target = [config.path_prefix, "/app/", config.key, QUERY];
        let request = ClientHandshake::with_target(config.host, config.port, target);
        let request = request.secure(config.secure).headers(config.headers);
        self.awaiting = Some(request.start(nonce, tx)?.detached());
        self.websocket.reset(config.limits);
        self.error = 0;
        self.activity_s = 0;
        self.cursor = 0;
        self.table.slots_mut().iter_mut().for_each(Slot::restart);
        if self.sign_in != SignIn::Unwanted {
            self.sign_in = SignIn::Waiting;
        }
        self.enter(Phase::Upgrading, now);
        Ok(())
    }

    /// Begins the closing handshake with code 1000. It ends with [`ClientEvent::Closed`] or a time-out.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`] when no WebSocket is open: end the transport and call
    /// [`handle_eof`](Self::handle_eof). Or [`TxFull`].
    pub fn close(&mut self, now: Instant, tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        if !matches!(self.phase, Phase::Establishing | Phase::Online | Phase::Pinged) {
            return Err(UsageError::NotOpen.into());
        }
        self.websocket.close(CloseCode::NORMAL, "", tx)?;
        self.enter(Phase::Closing, now);
        Ok(())
    }

    pub(super) fn closed<'i>(&mut self, code: Option<u16>, now: Instant) -> ClientEvent<'i> {
        let by = match self.phase {
            Phase::Closing => Initiator::Local,
            Phase::Idle
            | Phase::Upgrading
            | Phase::Establishing
            | Phase::Online
            | Phase::Pinged => Initiator::Peer,
        };
        let advice = self.advice(code);
        self.enter(Phase::Idle, now);
        ClientEvent::Closed { closed: Closed { by, code }, advice }
    }

    /// What a close code advises; without a telling one, what the last error does.
    fn advice(&self, code: Option<u16>) -> Advice {
        let telling = code.filter(|code| *code >= 4000 || self.error == 0);
        ErrorCode::new(telling.unwrap_or(self.error)).close_advice()
    }

    /// The transport has ended, or could not be connected. `None` when the connection had ended before.
    pub fn handle_eof(&mut self, now: Instant) -> Option<ClientEvent<'static>> {
        if self.phase == Phase::Idle {
            return None;
        }
        let _ = self.websocket.handle_eof(); // whether a closing handshake came before is told by the phase
        Some(self.closed(None, now))
    }

    /// Ends the connection because of a broken rule: writes a close frame that says which, if one can still be written.
    /// Flush, and end the transport.
    ///
    /// # Errors
    /// [`TxFull`]; nothing changed. Right after the step that gave the error there is room.
    pub fn fail(&mut self, error: PeerError, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        self.websocket.fail(error, tx)?;
        self.enter(Phase::Idle, self.since);
        Ok(())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why. It changes with every input.
    #[must_use]
    pub const fn poll_timeout(&self, config: &ClientConfig<'_>) -> Option<Deadline> {
        let (span, timer) = match self.phase {
            Phase::Idle => return None,
            Phase::Upgrading | Phase::Establishing => {
                (config.handshake_timeout(), Timer::Handshake)
            }
            Phase::Online => (config.activity_timeout(self.activity_s), Timer::Activity),
            Phase::Pinged => (config.pong_timeout(), Timer::Pong),
            Phase::Closing => (config.close_timeout(), Timer::Close),
        };
        Some(Deadline { at: self.since.saturating_add(span), timer })
    }

    /// Does what is due at `now`. An early call does nothing; after a late one the server still has its whole time to
    /// answer.
    ///
    /// # Errors
    /// [`TxFull`]; nothing changed.
    #[cfg_attr(not(feature = "small"), inline(never))]
    pub fn handle_timeout(
        &mut self,
        config: &ClientConfig<'_>,
        now: Instant,
        tx: &mut TxBuf<'_>,
    ) -> Result<Timeout, TxFull> {
        let Some(Deadline { at, timer }) = self.poll_timeout(config) else {
            return Ok(Timeout::Early);
        };
        if now < at {
            return Ok(Timeout::Early);
        }
        if self.phase == Phase::Online {
            let mask = self.mask();
            encode_ping(tx, Some(mask))?;
            self.enter(Phase::Pinged, now);
            return Ok(Timeout::Pinged);
        }
        let advice = match self.phase {
            // The path is dead while the server may well be there.
            Phase::Pinged => Advice::ReconnectNow,
            Phase::Idle
            | Phase::Upgrading
            | Phase::Establishing
            | Phase::Online
            | Phase::Closing => self.advice(None),
        };
        self.enter(Phase::Idle, now);
        Ok(Timeout::Drop { advice, timer })
    }
}
