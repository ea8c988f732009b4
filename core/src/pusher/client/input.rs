//! What comes from the server, and what waits for it.

use super::config::ClientConfig;
use super::event::{ChannelEvent, ClientEvent};
use super::machine::{Client, MIN_TX, Phase, SignIn};
use super::table::{ChannelId, Slot, Subscription, Table};
use crate::channel::ChannelKind;
use crate::entropy::Entropy;
use crate::error::TxFull;
use crate::io::{Parse, Progress, Step, TxBuf};
#[cfg(feature = "encrypted")]
use crate::pusher::open_encrypted;
use crate::pusher::{MessageError, ServerMessage, encode_pong};
use crate::time::Instant;
use crate::websocket::{CloseCode, Event, MessageKind, PeerError};

impl<R: Entropy, T: Table> Client<R, T> {
    /// Works on at most one frame at the front of `input`, or on one subscription that waits.
    ///
    /// Call it until it asks for input: after new input, and with none after [`subscribe`](Self::subscribe),
    /// [`retry`](Self::retry), [`sign_in`](Self::sign_in), [`authorize_user`](Self::authorize_user) and a flush. It
    /// asks for room as long as the next frame does not fit. Pings, in both of their forms, are answered inside.
    ///
    /// # Errors
    /// The WebSocket rule that the server broke: call [`fail`](Self::fail) with it, flush, end the transport and come
    /// back later.
    pub fn handle_input<'i>(
        &mut self,
        now: Instant,
        input: &'i mut [u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<Step<ClientEvent<'i>>, PeerError> {
        match self.phase {
            Phase::Idle => return Ok(Step { consumed: input.len(), progress: IDLE }),
            Phase::Upgrading => return Ok(self.upgrade(now, input)),
            Phase::Establishing | Phase::Online | Phase::Pinged => {
                if tx.remaining() < MIN_TX {
                    return Ok(Step::need_output(MIN_TX));
                }
            }
            Phase::Closing => {}
        }
        if self.is_online()
            && let Some(progress) = self.work(tx)
        {
            return Ok(Step { consumed: 0, progress });
        }
        let Step { consumed, progress } = self.websocket.handle_input(input, tx)?;
        if consumed > 0 && self.is_online() {
            self.enter(Phase::Online, now);
        }
        let event = match progress {
            Progress::Event(event) => event,
            Progress::Advanced => return Ok(Step::advanced(consumed)),
            Progress::NeedInput { at_least } => return Ok(Step::need_input(at_least)),
            Progress::NeedOutput { at_least } => return Ok(Step::need_output(at_least)),
        };
        let event = match event {
            Event::Message { kind: MessageKind::Text, payload } => self.message(now, payload, tx),
            Event::Skipped { size } => Some(ClientEvent::Skipped { size }),
            Event::Closed { code, .. } => Some(self.closed(code.map(CloseCode::as_u16), now)),
            Event::Message { kind: MessageKind::Binary, .. }
            | Event::Ping(_)
            | Event::Pong(_)
            | Event::Piece(_) => None,
        };
        Ok(match event {
            Some(event) => Step::event(consumed, event),
            None => Step::advanced(consumed),
        })
    }

    /// Reads the answer to the opening request.
    #[cfg_attr(not(feature = "small"), inline(never))]
    fn upgrade<'i>(&mut self, now: Instant, input: &'i [u8]) -> Step<ClientEvent<'i>> {
        let Some(awaiting) = &self.awaiting else { return Step::need_input(1) };
        match awaiting.read_response(input, ClientConfig::head_limits()) {
            Ok(Parse::NeedMore { at_least }) => Step::need_input(at_least),
            Ok(Parse::Done { consumed, .. }) => {
                self.awaiting = None;
                // The time for the opening goes on.
                self.enter(Phase::Establishing, self.since);
                Step::advanced(consumed)
            }
            Err(error) => {
                self.enter(Phase::Idle, now);
                Step::event(input.len(), ClientEvent::Refused { error })
            }
        }
    }

    /// Does the next thing that waits for the connection or for room; `None` when nothing does.
    #[inline(never)]
    fn work<'i>(&mut self, tx: &mut TxBuf<'_>) -> Option<Progress<ClientEvent<'i>>> {
        let socket_id = self.socket_id;
        if self.sign_in == SignIn::Waiting {
            self.sign_in = SignIn::Authorizing;
            return Some(Progress::Event(ClientEvent::AuthorizeUser { socket_id }));
        }
        let signed_in = self.sign_in == SignIn::Done;
        let waits = |slot: &Slot<T::Name>| {
            slot.name.is_some()
                && slot.subscription == Subscription::Waiting
                && (slot.kind != ChannelKind::User || signed_in)
        };
        let from = usize::from(self.cursor);
        let found = self.table.slots().get(from..).unwrap_or_default().iter().position(waits);
        let Some(place) = found.map(|place| place.saturating_add(from)) else {
            self.cursor = u16::try_from(self.table.slots().len()).unwrap_or(u16::MAX);
            return None;
        };
        let mask = self.mask();
        let index = u16::try_from(place).unwrap_or(u16::MAX);
        self.cursor = index;
        let slot = self.table.slots_mut().get_mut(place)?;
        if slot.kind.needs_auth() {
            slot.subscription = Subscription::Authorizing;
            let channel = ChannelId { index, generation: slot.generation };
            return Some(Progress::Event(ClientEvent::Authorize { channel, socket_id }));
        }
        match slot.encode_subscribe(tx, mask, None, None) {
            Ok(()) => {
                slot.subscription = Subscription::Requested;
                Some(Progress::Advanced)
            }
            Err(TxFull { at_least }) => Some(Progress::NeedOutput { at_least }),
        }
    }

    #[cfg(not(feature = "encrypted"))]
    fn parse<'i>(&self, payload: &'i mut [u8]) -> Result<ServerMessage<'i>, MessageError> {
        ServerMessage::parse(payload)
    }

    /// Reads a message, and decrypts it where the channel has a secret.
    #[cfg(feature = "encrypted")]
    fn parse<'i>(&self, payload: &'i mut [u8]) -> Result<ServerMessage<'i>, MessageError> {
        ServerMessage::parse_opening(payload, |text, channel, data| {
            let name = core::str::from_utf8(text.get(channel)?).ok()?;
            let slot = self.table.find(name).and_then(|place| self.table.slots().get(place));
            let Some(secret) = slot.and_then(|slot| slot.secret.as_ref()) else {
                return Some(data);
            };
            let base = data.start;
            let plain = open_encrypted(secret, text.get_mut(data)?).ok()?;
            Some(plain.start.saturating_add(base)..plain.end.saturating_add(base))
        })
    }

    #[inline(never)] // its frame is not on the stack while other steps need theirs
    fn message<'i>(
        &mut self,
        now: Instant,
        payload: &'i mut [u8],
        tx: &mut TxBuf<'_>,
    ) -> Option<ClientEvent<'i>> {
        let message = match self.parse(payload) {
            Ok(message) => message,
            Err(error) => return Some(ClientEvent::Unreadable { error }),
        };
        match message {
            ServerMessage::Established { socket_id, activity_timeout_s } => {
                if self.phase != Phase::Establishing {
                    return None;
                }
                self.socket_id = socket_id;
                let announced = activity_timeout_s.unwrap_or_default();
                self.activity_s = u16::try_from(announced).unwrap_or(u16::MAX);
                self.enter(Phase::Online, now);
                Some(ClientEvent::Connected { socket_id })
            }
            ServerMessage::Error { code, message } => {
                if let Some(code) = code
                    && code.closes()
                {
                    self.error = code.as_u16();
                }
                Some(ClientEvent::Error { code, message })
            }
            ServerMessage::Ping => {
                let mask = self.mask();
                let written = encode_pong(tx, Some(mask));
                debug_assert!(written.is_ok(), "room was checked before the step");
                None
            }
            ServerMessage::SignedIn { user_data } => {
                if self.sign_in != SignIn::Requested {
                    return None;
                }
                self.sign_in = SignIn::Done;
                self.cursor = 0; // the user's channel may have waited for this
                Some(ClientEvent::SignedIn { user_data })
            }
            ServerMessage::Watchlist(watchlist) => Some(ClientEvent::Watchlist(watchlist)),
            ServerMessage::Event { channel: None, event, data, .. } => {
                Some(ClientEvent::Unrouted { event, data })
            }
            ServerMessage::Pong | ServerMessage::Ignored { .. } => None,
            ServerMessage::CacheMiss { .. }
            | ServerMessage::Event { .. }
            | ServerMessage::MemberAdded { .. }
            | ServerMessage::MemberRemoved { .. }
            | ServerMessage::Sealed { .. }
            | ServerMessage::Subscribed { .. }
            | ServerMessage::SubscriptionCount { .. }
            | ServerMessage::SubscriptionError { .. } => self.routed(message),
            #[cfg(feature = "resume")]
            ServerMessage::Resumed { .. } => self.routed(message),
        }
    }

    /// A message about one channel. What is about none of ours came too late.
    fn routed<'i>(&mut self, message: ServerMessage<'i>) -> Option<ClientEvent<'i>> {
        #[cfg(feature = "resume")]
        let seen = super::resume::seen(&message);
        let (name, event) = of_channel(message)?;
        let place = self.table.find(name)?;
        let slot = self.table.slots_mut().get_mut(place)?;
        match (event, slot.subscription) {
            (
                ChannelEvent::Subscribed { .. },
                Subscription::Requested | Subscription::Subscribed,
            ) => slot.subscription = Subscription::Subscribed,
            (ChannelEvent::Rejected { .. }, Subscription::Requested) => {
                slot.subscription = Subscription::Rejected;
            }
            (ChannelEvent::Subscribed { .. } | ChannelEvent::Rejected { .. }, _) => return None,
            (_, Subscription::Requested | Subscription::Subscribed) => {}
            (_, _) => return None,
        }
        #[cfg(feature = "resume")]
        slot.see(seen);
        let index = u16::try_from(place).ok()?;
        let channel = ChannelId { index, generation: slot.generation };
        Some(ClientEvent::Channel { channel, event })
    }
}

/// A step without a connection: what comes is thrown away.
const IDLE: Progress<ClientEvent<'static>> = Progress::NeedInput { at_least: 1 };

/// The channel that a message names, and what it says about it.
fn of_channel(message: ServerMessage<'_>) -> Option<(&str, ChannelEvent<'_>)> {
    Some(match message {
        ServerMessage::CacheMiss { channel } => (channel, ChannelEvent::CacheMiss),
        ServerMessage::Event { channel, event, data, user_id, serial } => {
            (channel?, ChannelEvent::Message { event, data, user_id, serial })
        }
        ServerMessage::MemberAdded { channel, user_id, user_info } => {
            (channel, ChannelEvent::MemberAdded { user_id, user_info })
        }
        ServerMessage::MemberRemoved { channel, user_id } => {
            (channel, ChannelEvent::MemberRemoved { user_id })
        }
        #[cfg(feature = "resume")]
        ServerMessage::Resumed { channel, complete, events, .. } => {
            (channel, ChannelEvent::Resumed { complete, events })
        }
        ServerMessage::Sealed { channel, event, .. } => {
            (channel, ChannelEvent::Undecryptable { event })
        }
        ServerMessage::Subscribed { channel, presence } => {
            (channel, ChannelEvent::Subscribed { presence })
        }
        ServerMessage::SubscriptionCount { channel, count } => {
            (channel, ChannelEvent::Count(count))
        }
        ServerMessage::SubscriptionError { channel, kind, error, status } => {
            (channel, ChannelEvent::Rejected { kind, error, status })
        }
        ServerMessage::Error { .. }
        | ServerMessage::Established { .. }
        | ServerMessage::Ignored { .. }
        | ServerMessage::Ping
        | ServerMessage::Pong
        | ServerMessage::SignedIn { .. }
        | ServerMessage::Watchlist(_) => return None,
    })
}
