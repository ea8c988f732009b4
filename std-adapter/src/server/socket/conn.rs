//! One WebSocket connection: its socket, its protocol state and what waits to be sent.

use super::outbox::Outbox;
use super::stream::Stream;
use super::user::SignedIn;
use crate::server::hub::AppRef;
use crate::server::hub::mail::ConnRef;
use crate::server::metrics::{Traffic, count};
use crate::server::shard::Terms;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use tidings_core::pusher::SocketId;
use tidings_core::pusher::server::ServerConn;
use tidings_core::time::Instant;

/// A subscription as the socket's own shard sees it.
#[derive(Debug)]
pub(crate) struct Sub {
    /// The channel's place in the shard's table.
    pub(crate) channel: u32,
    /// The socket's place in the channel's list; [`Sub::PENDING`] until the channel's home has agreed.
    pub(crate) position: u32,
    pub(crate) ticket: u32,
    /// The user of a presence subscription.
    pub(crate) user_id: Option<Box<str>>,
}

impl Sub {
    pub(crate) const PENDING: u32 = u32::MAX;
}

/// Client events of the second that runs.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    second: u32,
    used: u32,
}

/// What a delivery looks at comes first and stays together: a fan-out walks over thousands of these, and what
/// the processor has to fetch for each is most of its own cost.
#[repr(C)]
pub(crate) struct Conn {
    outbox: RefCell<Option<Box<Outbox>>>,
    stream: Stream,
    failed: Cell<bool>,
    /// It has signed in or subscribed with a signature, which some apps ask of every connection.
    pub(crate) proven: Cell<bool>,
    /// The last two gatherings that this socket was in, see `Local::flush`.
    gather: Cell<(u32, u32)>,
    pub(crate) socket_id: SocketId,
    pub(crate) app: AppRef,
    pub(crate) at: ConnRef,
    pub(crate) core: RefCell<ServerConn>,
    pub(crate) subs: RefCell<Vec<Sub>>,
    /// The user that has signed in.
    pub(crate) user: RefCell<Option<Box<SignedIn>>>,
    /// The beginning of a frame whose rest has not arrived; empty most of the time.
    pub(crate) tail: RefCell<Vec<u8>>,
    /// What holds for it.
    pub(crate) terms: Rc<Terms>,
    pub(crate) next_ticket: Cell<u32>,
    client_events: Cell<Window>,
    /// The second of the shard's clock in which it came.
    came: u32,
    /// Until when a socket that was cut for its slowness may take its time to read the reason.
    pub(crate) patience: Cell<Instant>,
    /// What the sockets of the app have done on this shard.
    pub(crate) traffic: Rc<Traffic>,
}

/// What became of bytes for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// Written, or queued behind what waits.
    Accepted,
    /// The queue is over its limit: the socket reads too slowly.
    Overflow,
    /// The socket is broken.
    Failed,
}

impl Conn {
    pub(crate) fn new(
        stream: Stream,
        app: AppRef,
        at: ConnRef,
        core: ServerConn,
        socket_id: SocketId,
        terms: Rc<Terms>,
        traffic: Rc<Traffic>,
    ) -> Self {
        Self {
            traffic,
            stream,
            app,
            at,
            socket_id,
            core: RefCell::new(core),
            subs: RefCell::default(),
            user: RefCell::default(),
            tail: RefCell::default(),
            outbox: RefCell::default(),
            terms,
            next_ticket: Cell::default(),
            client_events: Cell::default(),
            came: 0,
            gather: Cell::default(),
            failed: Cell::default(),
            proven: Cell::default(),
            patience: Cell::default(),
        }
    }

    /// A connection that came at this time.
    pub(crate) fn since(self, now: Instant) -> Self {
        Self { came: u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX), ..self }
    }

    /// When it came, to the second.
    pub(crate) fn came(&self) -> Instant {
        Instant::from_millis(u64::from(self.came) * 1000)
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sends frames that other sockets are given as well, which whoever sends counts: at once if nothing waits, else
    /// behind it.
    #[inline]
    pub(crate) fn deliver(self: &Rc<Self>, frames: &Bytes) -> Sent {
        self.send_or_queue(frames, || frames.clone())
    }

    /// Sends frames that other sockets may be given as well.
    pub(crate) fn send_shared(self: &Rc<Self>, frames: &Bytes) -> Sent {
        self.traffic.sent(frames);
        self.deliver(frames)
    }

    /// Sends frames that are this socket's own.
    pub(crate) fn send(self: &Rc<Self>, frames: &[u8]) -> Sent {
        self.traffic.sent(frames);
        self.send_uncounted(frames)
    }

    /// Sends the answer to the opening handshake, whose last part is one frame.
    pub(crate) fn greet(self: &Rc<Self>, reply: &[u8]) -> Sent {
        count(&self.traffic.connected, 1);
        count(&self.traffic.sent_bytes, reply.len());
        count(&self.traffic.sent_frames, 1);
        self.send_uncounted(reply)
    }

    fn send_uncounted(self: &Rc<Self>, frames: &[u8]) -> Sent {
        self.send_or_queue(frames, || Bytes::copy_from_slice(frames))
    }

    fn send_or_queue(self: &Rc<Self>, frames: &[u8], keep: impl FnOnce() -> Bytes) -> Sent {
        if self.failed.get() {
            return Sent::Failed;
        }
        let mut outbox = self.outbox.borrow_mut();
        if let Some(outbox) = &mut *outbox {
            outbox.push(keep());
            return self.verdict(outbox);
        }
        match self.stream.try_write(frames) {
            Ok(n) if n == frames.len() => Sent::Accepted,
            Ok(n) => self.start_queue(&mut outbox, keep(), n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.start_queue(&mut outbox, keep(), 0)
            }
            Err(_) => self.fail(),
        }
    }

    fn start_queue(
        self: &Rc<Self>,
        slot: &mut Option<Box<Outbox>>,
        frames: Bytes,
        sent: usize,
    ) -> Sent {
        let outbox = slot.insert(Box::default());
        outbox.push_started(frames, sent);
        outbox.draining = true;
        let conn = Rc::clone(self);
        tokio::task::spawn_local(async move { conn.drain().await });
        self.verdict(outbox)
    }

    fn verdict(&self, outbox: &Outbox) -> Sent {
        if outbox.waiting() > self.terms.max_waiting() { Sent::Overflow } else { Sent::Accepted }
    }

    /// Queues frames without trying to write; [`write_queued`](Self::write_queued) follows.
    pub(crate) fn queue(&self, frames: Bytes) {
        self.traffic.sent(&frames);
        self.queue_due(frames);
    }

    /// As [`queue`](Self::queue), of frames that are counted by whoever delivers them.
    pub(crate) fn queue_due(&self, frames: Bytes) {
        if !self.failed.get() {
            self.outbox.borrow_mut().get_or_insert_default().push(frames);
        }
    }

    /// Writes what is queued, in as few writes as possible, unless the socket is known to be full.
    pub(crate) fn write_queued(self: &Rc<Self>) -> Sent {
        let mut slot = self.outbox.borrow_mut();
        let Some(outbox) = &mut *slot else { return Sent::Accepted };
        if outbox.draining {
            return self.verdict(outbox);
        }
        match self.write_outbox(outbox) {
            Ok(()) => {
                *slot = None;
                Sent::Accepted
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                outbox.draining = true;
                let conn = Rc::clone(self);
                tokio::task::spawn_local(async move { conn.drain().await });
                self.verdict(outbox)
            }
            Err(_) => {
                *slot = None;
                self.fail()
            }
        }
    }

    fn write_outbox(&self, outbox: &mut Outbox) -> io::Result<()> {
        while !outbox.is_empty() {
            outbox.write_with(|slices| self.stream.try_write_vectored(slices))?;
        }
        Ok(())
    }

    /// Writes the queue as the socket becomes writable, until it is empty.
    async fn drain(self: Rc<Self>) {
        loop {
            if self.stream.writable().await.is_err() {
                let _ = self.fail();
                return;
            }
            let mut slot = self.outbox.borrow_mut();
            let Some(outbox) = &mut *slot else { return };
            match self.write_outbox(outbox) {
                Ok(()) => {
                    *slot = None;
                    return;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    *slot = None;
                    let _ = self.fail();
                    return;
                }
            }
        }
    }

    /// Bytes that wait for the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox.borrow().as_ref().map_or(0, |outbox| outbox.waiting())
    }

    /// Whether so much waits that nothing more should be read from the peer, whose input may ask for
    /// output.
    pub(crate) fn is_congested(&self) -> bool {
        self.waiting() > self.terms.max_waiting() / 2
    }

    /// Drops every frame that has not been begun; returns the number of bytes.
    pub(crate) fn drop_waiting(&self) -> usize {
        self.outbox
            .borrow_mut()
            .as_mut()
            .map_or(0, |outbox| outbox.keep_started_frame(self.stream.begun()))
    }

    /// Ends the TCP connection; the reading task then cleans up.
    pub(crate) fn abort(&self) {
        self.failed.set(true);
        *self.outbox.borrow_mut() = None;
        self.stream.shutdown();
    }

    fn fail(&self) -> Sent {
        self.failed.set(true);
        self.stream.shutdown();
        Sent::Failed
    }

    /// Counts a client event against `per_second`; false when there were too many in this second.
    pub(crate) fn allow_client_event(&self, now_ms: u64, per_second: u32) -> bool {
        let second = (now_ms / 1000) as u32;
        let mut window = self.client_events.get();
        if window.second != second {
            window = Window { second, used: 0 };
        }
        if window.used >= per_second {
            return false;
        }
        window.used += 1;
        self.client_events.set(window);
        true
    }

    /// Notes that the socket is in gathering `tick`; true from the second time on.
    pub(crate) fn gather(&self, tick: u32) {
        let (seen, again) = self.gather.get();
        self.gather.set(if seen == tick { (seen, tick) } else { (tick, again) });
    }

    /// Whether several channels have something for the socket in gathering `tick`.
    pub(crate) fn is_gathered(&self, tick: u32) -> bool {
        self.gather.get().1 == tick
    }
}
