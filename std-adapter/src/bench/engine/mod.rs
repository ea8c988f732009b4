//! One thread and one epoll that own every connection.
//!
//! Deliveries are counted where they are read; everything else that a scenario must know is left in
//! [`Engine::take_notes`].

mod receive;
mod socket;

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tidings_core::websocket::Opcode;

use super::error::BenchError;
use super::handshake::{Awaiting, Upgrade};
use super::progress::{Counts, Progress};
use super::server::Target;
use super::stats::{Received, Times};
use super::wire;

/// Bytes read at once. It must hold the largest frame.
const READ_BUFFER: usize = 256 * 1024;
/// Few events at once keep the publisher punctual while many sockets are readable.
const EVENTS: usize = 512;
const TIMER: Token = Token(usize::MAX);
/// Complaints of the server that are kept in its own words.
const KEPT_ERRORS: usize = 5;

/// Names a connection until the scenario has seen its [`Note::Closed`].
pub(crate) type ConnId = usize;

/// Something that a scenario must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// `pusher:connection_established` came.
    Established(ConnId),
    /// Every channel that was asked for is confirmed.
    Ready(ConnId),
    /// The connection is gone.
    Closed {
        /// Which.
        id: ConnId,
        /// Whether this side had asked for it.
        expected: bool,
    },
    /// A publish was answered.
    Answer {
        /// On which connection.
        id: ConnId,
        /// With which status.
        status: u16,
    },
}

#[derive(Debug)]
enum State {
    Connecting,
    Upgrading(Awaiting),
    Open,
    Closing,
}

/// What a connection is for.
#[derive(Debug)]
enum Role {
    /// The HTTP API.
    Publisher,
    /// A WebSocket that subscribes to these channels.
    Subscriber { channels: Vec<String>, confirmed: usize },
}

#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    state: State,
    role: Role,
    /// The start of a frame or answer that is not whole yet.
    partial: Vec<u8>,
    unsent: Vec<u8>,
    opened_at: u64,
    highest: u32,
}

/// What happened on all connections together.
#[derive(Debug)]
pub(crate) struct Tally {
    /// What subscribers received.
    pub(crate) received: Received,
    /// From `connect` to `pusher:connection_established`.
    pub(crate) connect: Times,
    /// From `connect` to the last confirmed channel.
    pub(crate) ready: Times,
    /// The first few complaints, in the server's words.
    pub(crate) errors: Vec<String>,
    /// All complaints.
    pub(crate) error_count: u64,
    /// WebSocket connections that are open or being opened.
    pub(crate) open: usize,
    /// Publishes that were accepted since [`restart`](Self::restart).
    accepted: u64,
    /// Deliveries that should follow from them.
    expected: u64,
    /// Publishes from before that are still to be answered.
    unanswered: u64,
}

impl Tally {
    fn new() -> Self {
        Self {
            received: Received::starting_at(0),
            connect: Times::new(),
            ready: Times::new(),
            errors: Vec::new(),
            error_count: 0,
            open: 0,
            accepted: 0,
            expected: 0,
            unanswered: 0,
        }
    }

    /// Counts anew, messages from number `from` on; `unanswered` publishes below it are yet to be answered.
    pub(crate) fn restart(&mut self, from: u32, unanswered: u64) {
        self.received = Received::starting_at(from);
        (self.accepted, self.expected, self.unanswered) = (0, 0, unanswered);
    }

    /// The server accepted a publish from which `deliveries` should follow.
    pub(crate) const fn accept(&mut self, deliveries: u64) {
        if self.unanswered > 0 {
            self.unanswered -= 1;
        } else {
            self.accepted += 1;
            self.expected += deliveries;
        }
    }

    /// Notes a complaint.
    pub(crate) fn complain(&mut self, text: String) {
        self.error_count += 1;
        if self.errors.len() < KEPT_ERRORS {
            self.errors.push(text);
        }
    }
}

/// All connections of a run.
#[derive(Debug)]
pub(crate) struct Engine {
    poll: Poll,
    events: Option<Events>,
    timer: TimerFd,
    spin: bool,
    target: Target,
    upgrade: Upgrade,
    conns: Vec<Option<Conn>>,
    free: Vec<ConnId>,
    /// Emptied while there were notes; kept back so that a note never names a newer connection.
    freed: Vec<ConnId>,
    scratch: Box<[u8]>,
    base: Instant,
    next_source: u8,
    next_seq: u32,
    mark_hint: usize,
    notes: Vec<Note>,
    /// Why the run cannot go on.
    fatal: Option<BenchError>,
    /// What has happened.
    pub(crate) tally: Tally,
    progress: Progress,
}

impl Engine {
    /// No connection yet; `spin` polls without sleeping.
    pub(crate) fn new(target: Target, spin: bool) -> Result<Self, BenchError> {
        let poll = Poll::new()?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(io::Error::from)?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Some(Events::with_capacity(EVENTS)),
            timer,
            spin,
            upgrade: Upgrade::new(&target),
            target,
            conns: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            scratch: vec![0; READ_BUFFER].into_boxed_slice(),
            base: Instant::now(),
            next_source: 0,
            next_seq: 1,
            mark_hint: 0,
            notes: Vec::new(),
            fatal: None,
            tally: Tally::new(),
            progress: Progress::new(),
        })
    }

    /// The server.
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// Nanoseconds since the engine was made: the one clock of sending and receiving.
    pub(crate) fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// The number that the next message will have.
    pub(crate) const fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// Takes that number.
    pub(crate) const fn take_seq(&mut self) -> u32 {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        seq
    }

    /// Names what goes on now, and how long it should take, for the line of progress.
    pub(crate) fn begin(&mut self, phase: &str, span: Option<u64>) {
        let now = self.now();
        self.progress.begin(now, phase, span);
    }

    /// What happened since the last call.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Whether the connection is still there.
    pub(crate) fn is_open(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(Option::is_some)
    }

    /// Opens a WebSocket that subscribes to `channels` once it is established.
    pub(crate) fn open_subscriber(&mut self, channels: Vec<String>) -> Result<ConnId, BenchError> {
        let id = self.connect(Role::Subscriber { channels, confirmed: 0 })?;
        self.tally.open += 1;
        Ok(id)
    }

    /// Opens a connection to the HTTP API.
    pub(crate) fn open_publisher(&mut self) -> Result<ConnId, BenchError> {
        self.connect(Role::Publisher)
    }

    fn connect(&mut self, role: Role) -> Result<ConnId, BenchError> {
        let mut stream = socket::connect(self.target.addr, &mut self.next_source)?;
        let id = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(id), interest)?;
        self.conns[id] = Some(Conn {
            stream,
            state: State::Connecting,
            role,
            partial: Vec::new(),
            unsent: Vec::new(),
            opened_at: self.now(),
            highest: 0,
        });
        Ok(id)
    }

    /// Sends a text message.
    pub(crate) fn send_text(&mut self, id: ConnId, text: &[u8]) -> io::Result<()> {
        self.send_frame(id, Opcode::Text, text)
    }

    fn send_frame(&mut self, id: ConnId, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mut out = Vec::new();
        wire::push_frame(&mut out, opcode, payload)?;
        self.write(id, &out);
        Ok(())
    }

    /// Begins a normal close and waits for the server to end the connection.
    pub(crate) fn close(&mut self, id: ConnId) -> io::Result<()> {
        self.send_frame(id, Opcode::Close, &1000_u16.to_be_bytes())?;
        if let Some(conn) = self.conns[id].as_mut() {
            conn.state = State::Closing;
        }
        Ok(())
    }

    /// Sends bytes; what the socket does not take now goes out when it can.
    pub(crate) fn write(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns[id].as_mut() else { return };
        if matches!(conn.state, State::Connecting) || !conn.unsent.is_empty() {
            conn.unsent.extend_from_slice(bytes);
            return;
        }
        match conn.stream.write(bytes) {
            Ok(n) => conn.unsent.extend_from_slice(&bytes[n..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.unsent.extend_from_slice(bytes);
            }
            Err(_) => self.forget(id),
        }
    }

    /// Ends a connection without ceremony.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if let Some(conn) = self.conns[id].take() {
            self.freed.push(id);
            if matches!(conn.role, Role::Subscriber { .. }) {
                self.tally.open -= 1;
            }
            self.notes.push(Note::Closed { id, expected: matches!(conn.state, State::Closing) });
        }
    }

    /// Waits for the sockets, until `until` at the latest, and handles what came.
    ///
    /// # Errors
    /// When the run cannot go on: nobody listens, or the server refuses this app for good.
    pub(crate) fn step(&mut self, until: u64) -> Result<(), BenchError> {
        if self.notes.is_empty() {
            self.free.append(&mut self.freed);
        }
        let wait = self.arm(until)?;
        let mut events = self.events.take().unwrap_or_else(|| Events::with_capacity(EVENTS));
        match self.poll.poll(&mut events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            other => other?,
        }
        for event in &events {
            let id = event.token().0;
            if event.token() == TIMER || self.conns[id].is_none() {
                continue;
            }
            if event.is_writable() {
                self.on_writable(id)?;
            }
            let ended = event.is_read_closed() || event.is_error();
            if event.is_readable() || ended {
                self.on_readable(id, ended)?;
            }
        }
        self.events = Some(events);
        let (now, counts) = (self.now(), self.counts());
        self.progress.tick(now, counts);
        self.fatal.take().map_or(Ok(()), Err)
    }

    /// How long to wait: epoll counts in milliseconds, so a nearer deadline is a timer's.
    fn arm(&self, until: u64) -> io::Result<Option<Duration>> {
        let now = self.now();
        if self.spin || until <= now {
            return Ok(Some(Duration::ZERO));
        }
        let left = TimeSpec::from_duration(Duration::from_nanos(until - now));
        self.timer.set(Expiration::OneShot(left), TimerSetTimeFlags::empty())?;
        Ok(None)
    }

    fn counts(&self) -> Counts {
        Counts {
            open: self.tally.open,
            sent: self.tally.accepted,
            expected: self.tally.expected,
            delivered: self.tally.received.delivered,
        }
    }

    fn on_writable(&mut self, id: ConnId) -> io::Result<()> {
        let Some(conn) = self.conns[id].as_mut() else { return Ok(()) };
        if matches!(conn.state, State::Connecting) {
            match conn.stream.take_error() {
                Ok(None) if conn.stream.peer_addr().is_ok() => {}
                Ok(None) => return Ok(()),
                Ok(Some(error)) | Err(error) => {
                    self.on_connect_failed(id, &error);
                    return Ok(());
                }
            }
            match conn.role {
                Role::Publisher => conn.state = State::Open,
                Role::Subscriber { .. } => {
                    let (request, awaiting) = self.upgrade.start()?;
                    conn.state = State::Upgrading(awaiting);
                    self.write(id, &request);
                }
            }
        }
        self.flush(id);
        Ok(())
    }

    fn on_connect_failed(&mut self, id: ConnId, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            self.fatal = Some(BenchError::NothingListens(self.target.addr));
        }
        self.tally.complain(format!("connect: {error}"));
        self.forget(id);
    }

    fn flush(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id].as_mut() else { return };
        while !conn.unsent.is_empty() {
            match conn.stream.write(&conn.unsent) {
                Ok(n) => drop(conn.unsent.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.forget(id),
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.progress.finish();
    }
}
