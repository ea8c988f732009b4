//! What the application's handles and the task share: the machine, its output and the subscriptions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_core::channel::{ChannelName, DEFAULT_MAX_LEN};
use tidings_core::error::{CapacityError, SendError, TxFull};
use tidings_core::io::{Progress, TxBuf};
use tidings_core::pusher::client::{ChannelId, Position};
use tidings_core::pusher::{Advice, ErrorCode, SocketId};
use tidings_core::time::Instant;
use tidings_core::websocket::PeerError;
use tidings_core::websocket::handshake::HandshakeError;
use tokio::sync::{Notify, broadcast, watch};

use super::error::SubscribeError;
use super::event::{Event, Notice, State};
use super::mail::{Bounds, Mail, Standing};
use super::table::Machine;

/// The output buffer's first size, and the most that it grows to.
const OUT_FIRST: usize = 4 * 1024;
pub(super) const OUT_MOST: usize = 256 * 1024;

/// How many notices may wait for a reader.
const NOTICES: usize = 64;

#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    pub(super) bounds: Bounds,
    /// Wakes the task: there is something to write, to subscribe or to end.
    pub(super) wake: Notify,
    /// Wakes those who wait for room in the output.
    pub(super) room: Notify,
    pub(super) state: watch::Sender<State>,
    pub(super) notices: broadcast::Sender<Notice>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) machine: Machine,
    pub(super) out: Out,
    /// By the place of the channel.
    pub(super) routes: Vec<Option<(ChannelId, Arc<Mail>)>>,
    /// Given up, and not yet told the server.
    pub(super) leaving: Vec<ChannelId>,
    pub(super) closing: bool,
    pub(super) stopped: bool,
    /// The last error that ends connections.
    pub(super) error: Option<(ErrorCode, Arc<str>)>,
}

/// Frames that wait to be written.
#[derive(Debug)]
pub(super) struct Out {
    memory: Vec<u8>,
    len: usize,
}

/// A signature that is to be asked for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) socket_id: SocketId,
    /// `None` for the sign-in.
    pub(super) channel: Option<(ChannelId, Arc<str>)>,
    /// The channel's, which ends when it is given up: nobody needs the answer then.
    pub(super) standing: Option<watch::Receiver<Standing>>,
}

/// How a connection ended, as far as the machine knows.
#[derive(Debug)]
pub(super) enum Ended {
    Closed { code: Option<ErrorCode>, message: Arc<str>, advice: Advice },
    Protocol(PeerError),
    Refused(HandshakeError),
}

/// What the machine made of the input.
#[derive(Debug, Default)]
pub(super) struct Pumped {
    /// Bytes to drop from the front of the input.
    pub(super) consumed: usize,
    /// How many bytes are missing, at least. 0 when the output must be flushed first.
    pub(super) wanted: usize,
    pub(super) connected: Option<SocketId>,
    pub(super) asks: Vec<Ask>,
    pub(super) ended: Option<Ended>,
}

impl Out {
    fn new() -> Self {
        Self { memory: vec![0; OUT_FIRST], len: 0 }
    }

    /// Calls `write` with the free part.
    pub(super) fn once<T>(&mut self, write: impl FnOnce(&mut TxBuf<'_>) -> T) -> T {
        let mut tx = TxBuf::new(self.memory.get_mut(self.len..).unwrap_or_default());
        let result = write(&mut tx);
        self.len += tx.len();
        result
    }

    /// Calls `write` with the free part, and again with more of it as long as that may help.
    pub(super) fn write<T, E>(
        &mut self,
        mut write: impl FnMut(&mut TxBuf<'_>) -> Result<T, E>,
        full: impl Fn(&E) -> Option<usize>,
    ) -> Result<T, E> {
        loop {
            let result = self.once(&mut write);
            let Some(at_least) = result.as_ref().err().and_then(&full) else { return result };
            if !self.reserve(at_least) {
                return result;
            }
        }
    }

    /// Makes room for `at_least` more bytes, if that is within bounds.
    pub(super) fn reserve(&mut self, at_least: usize) -> bool {
        let needed = self.len.saturating_add(at_least);
        if needed > OUT_MOST {
            return false;
        }
        if needed > self.memory.len() {
            self.memory.resize(needed.next_power_of_two().min(OUT_MOST), 0);
        }
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Moves all that waits to `to`, which is empty.
    pub(super) fn take(&mut self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.memory.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }
}

/// The room that a refused write needs.
pub(super) const fn full(error: &SendError) -> Option<usize> {
    match error {
        SendError::Capacity(CapacityError::Tx(TxFull { at_least })) => Some(*at_least),
        _ => None,
    }
}

impl Shared {
    pub(super) fn new(machine: Machine, bounds: Bounds) -> Self {
        let inner = Inner {
            machine,
            out: Out::new(),
            routes: Vec::new(),
            leaving: Vec::new(),
            closing: false,
            stopped: false,
            error: None,
        };
        Self {
            inner: Mutex::new(inner),
            bounds,
            wake: Notify::new(),
            room: Notify::new(),
            state: watch::Sender::new(State::Connecting),
            notices: broadcast::Sender::new(NOTICES),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the client: gracefully, if there is a connection.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    pub(super) fn subscribe(
        &self,
        name: &str,
        from: Option<Position>,
    ) -> Result<(ChannelId, Arc<Mail>), SubscribeError> {
        if let Err(error) = ChannelName::parse(name, DEFAULT_MAX_LEN) {
            return Err(SubscribeError::Name { name: name.into(), error });
        }
        let mut inner = self.lock();
        if inner.stopped || inner.closing {
            return Err(SubscribeError::Stopped);
        }
        inner.leave();
        let name: Arc<str> = name.into();
        let channel = match inner.machine.subscribe(Arc::clone(&name)) {
            Ok(channel) => channel,
            Err(SendError::Usage(_)) => return Err(SubscribeError::Already((*name).into())),
            Err(_) => return Err(SubscribeError::TooMany),
        };
        if let Some(from) = from {
            let _ = inner.machine.resume(channel, from); // it is known since the line before
        }
        let mail = Arc::new(Mail::new(name, self.bounds));
        if inner.routes.len() <= channel.index() {
            inner.routes.resize(channel.index() + 1, None);
        }
        if let Some(route) = inner.routes.get_mut(channel.index()) {
            *route = Some((channel, Arc::clone(&mail)));
        }
        drop(inner);
        self.wake.notify_one();
        Ok((channel, mail))
    }

    pub(super) fn unsubscribe(&self, channel: ChannelId) {
        let mut inner = self.lock();
        if let Some(route) = inner.routes.get_mut(channel.index())
            && let Some((_, mail)) = route.take_if(|(known, _)| *known == channel)
        {
            mail.standing.send_replace(Standing::Ended);
        }
        inner.leaving.push(channel);
        inner.leave();
        drop(inner);
        self.wake.notify_one();
    }

    /// Ends everything: no event comes any more.
    pub(super) fn stop(&self, error: Option<super::ClientError>) {
        let mut inner = self.lock();
        inner.stopped = true;
        let routes = std::mem::take(&mut inner.routes);
        drop(inner);
        // First the reason, then the end: who sees the end can ask for the reason.
        self.state.send_replace(State::Stopped { error });
        for (_, mail) in routes.into_iter().flatten() {
            mail.end();
        }
        self.room.notify_waiters();
    }

    /// Notes that the connection is gone, and tells those who were subscribed.
    pub(super) fn interrupted(&self) {
        let mut inner = self.lock();
        inner.out.clear();
        inner.error = None;
        for (_, mail) in inner.routes.iter().flatten() {
            if mail.standing.send_replace(Standing::Waiting) == Standing::Subscribed {
                mail.push(Event::Interrupted);
            }
        }
        drop(inner);
        self.room.notify_waiters();
    }

    /// Works on all of `input`, as far as there is room for answers.
    pub(super) fn pump(&self, now: Instant, input: &mut [u8]) -> Pumped {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.leave();
        let mut pumped = Pumped::default();
        loop {
            let rest = input.get_mut(pumped.consumed..).unwrap_or_default();
            let Inner { machine, out, .. } = &mut *inner;
            let step = match out.once(|tx| machine.handle_input(now, rest, tx)) {
                Ok(step) => step,
                Err(error) => {
                    let _ = out.write(|tx| machine.fail(error, tx), |full| Some(full.at_least));
                    pumped.ended = Some(Ended::Protocol(error));
                    break;
                }
            };
            pumped.consumed += step.consumed;
            match step.progress {
                Progress::Advanced => {}
                Progress::Event(event) => inner.handle(event, &self.notices, &mut pumped),
                Progress::NeedInput { at_least } => {
                    pumped.wanted = at_least;
                    break;
                }
                Progress::NeedOutput { at_least } => {
                    if !out.reserve(at_least) {
                        break;
                    }
                }
            }
            if pumped.ended.is_some() {
                break;
            }
        }
        pumped
    }
}
