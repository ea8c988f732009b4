//! One connection: between the transport, the machine, the authoriser and the clock.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::pusher::Advice;
use tidings_core::pusher::client::Timeout;
use tidings_core::reconnect::{Next, Reconnect};
use tidings_core::time::Timer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use super::ClientBuilder;
use super::authorize::{AuthRequest, Authorization, AuthorizeError, Authorizer, Subject};
use super::connect::Stream;
use super::driver::Clock;
use super::error::ClientError;
use super::event::State;
use super::mail::Standing;
use super::shared::{Ask, Ended, Pumped, Shared};
use super::table::Random;

/// How much input is read at once, at least.
const READ: usize = 8 * 1024;

/// How many answers of the authoriser are waited for at once.
const ASKED_AT_ONCE: usize = 16;

/// How long the last bytes of a connection that has ended may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where there is no deadline.
pub(super) const LONG: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Session<'s> {
    shared: &'s Arc<Shared>,
    options: &'s ClientBuilder,
    clock: Clock,
    host: Arc<str>,
    read: ReadHalf<Stream>,
    write: Writer,
    input: Vec<u8>,
    /// How much of `input` is filled.
    filled: usize,
    asks: JoinSet<Result<Authorization, AuthorizeError>>,
    asked: HashMap<Id, Arc<Ask>>,
    at_once: Arc<Semaphore>,
    /// The close frame is written.
    closing: bool,
}

/// What a connection ends with; `None` when the application ended it.
type Outcome = Option<(Advice, ClientError)>;

/// What woke the session.
enum Woken {
    Read(io::Result<usize>),
    Written(io::Result<()>),
    Answered(Result<(Id, Result<Authorization, AuthorizeError>), JoinError>),
    Due,
    Called,
}

impl<'s> Session<'s> {
    pub(super) fn new(
        shared: &'s Arc<Shared>,
        options: &'s ClientBuilder,
        clock: Clock,
        stream: Stream,
    ) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            shared,
            options,
            clock,
            host: options.target.name(),
            read,
            write: Writer { half: write, waiting: Vec::new(), written: 0, flush: false },
            input: vec![0; READ],
            filled: 0,
            asks: JoinSet::new(),
            asked: HashMap::new(),
            at_once: Arc::new(Semaphore::new(ASKED_AT_ONCE)),
            closing: false,
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run(mut self, reconnect: &mut Reconnect) -> Outcome {
        if let Err(error) = self.open() {
            return Some((Advice::DoNotReconnect, self.broken(error)));
        }
        let outcome = loop {
            let pumped = self.pump(reconnect);
            let blocked = pumped.wanted == 0;
            if let Some(ended) = pumped.ended {
                break self.ended(ended);
            }
            if let Err(NotOpen) = self.close_if_wanted() {
                break None;
            }
            self.fetch_output();
            if let Some(outcome) = match self.wait(blocked).await {
                Woken::Read(Ok(0)) => self.end_of_stream(),
                Woken::Read(Ok(n)) => {
                    self.filled += n;
                    None
                }
                Woken::Read(Err(error)) | Woken::Written(Err(error)) => {
                    Some(Some((Advice::BackOff, self.broken(error))))
                }
                Woken::Answered(answer) => {
                    self.answered(answer);
                    None
                }
                Woken::Due => self.due(),
                Woken::Written(Ok(())) | Woken::Called => None,
            } {
                break outcome;
            }
        };
        self.finish().await;
        if self.closing { None } else { outcome }
    }

    fn open(&self) -> io::Result<()> {
        let mut guard = self.shared.lock();
        let super::shared::Inner { machine, out, .. } = &mut *guard;
        let opened = self.options.target.with(|config| {
            out.write(|tx| machine.open(config, self.clock.now(), tx), super::shared::full)
        });
        opened.map_err(io::Error::other)
    }

    fn pump(&mut self, reconnect: &mut Reconnect) -> Pumped {
        let now = self.clock.now();
        let input = self.input.get_mut(..self.filled).unwrap_or_default();
        let mut pumped = self.shared.pump(now, input);
        if pumped.consumed > 0 {
            self.input.copy_within(pumped.consumed..self.filled, 0);
            self.filled -= pumped.consumed;
        }
        // The core asks for no more than the longest message.
        let size = self.filled.saturating_add(pumped.wanted.max(READ / 2));
        if self.input.len() < size {
            self.input.resize(size, 0);
        }
        if let Some(socket_id) = pumped.connected {
            reconnect.connected(now);
            self.shared.state.send_replace(State::Online { socket_id });
        }
        for ask in pumped.asks.drain(..) {
            self.ask(ask);
        }
        pumped
    }

    fn close_if_wanted(&mut self) -> Result<(), NotOpen> {
        let mut guard = self.shared.lock();
        if !guard.closing || self.closing {
            return Ok(());
        }
        let super::shared::Inner { machine, out, .. } = &mut *guard;
        let now = self.clock.now();
        match out.write(|tx| machine.close(now, tx), super::shared::full) {
            Ok(()) => self.closing = true,
            // It is tried again when something was flushed.
            Err(error) if super::shared::full(&error).is_some() => {}
            Err(_) => return Err(NotOpen),
        }
        Ok(())
    }

    fn fetch_output(&mut self) {
        if self.write.waiting.is_empty() {
            let mut inner = self.shared.lock();
            if !inner.out.is_empty() {
                inner.out.take(&mut self.write.waiting);
                drop(inner);
                self.shared.room.notify_waiters();
            }
        }
    }

    /// Waits for whatever comes first. Input has to wait while there is no room for answers.
    async fn wait(&mut self, blocked: bool) -> Woken {
        let deadline = {
            let inner = self.shared.lock();
            self.options.target.with(|config| inner.machine.poll_timeout(config))
        };
        let deadline = deadline.map(|deadline| self.clock.at(deadline.at));
        let due = deadline.unwrap_or_else(|| tokio::time::Instant::now() + LONG);
        let space = self.input.get_mut(self.filled..).unwrap_or_default();
        tokio::select! {
            read = self.read.read(space), if !blocked => Woken::Read(read),
            written = self.write.some(), if self.write.has_work() => Woken::Written(written),
            Some(answer) = self.asks.join_next_with_id(), if !self.asks.is_empty() => {
                Woken::Answered(answer)
            }
            () = tokio::time::sleep_until(due) => Woken::Due,
            () = self.shared.wake.notified() => Woken::Called,
        }
    }

    fn ask(&mut self, ask: Ask) {
        let ask = Arc::new(ask);
        let asking = Asking {
            shared: Arc::clone(self.shared),
            authorizer: self.options.authorizer.clone(),
            ask: Arc::clone(&ask),
            at_once: Arc::clone(&self.at_once),
            patience: self.options.times.authorize,
        };
        let handle = self.asks.spawn(asking.run());
        self.asked.insert(handle.id(), ask);
    }

    fn answered(&mut self, answer: Result<(Id, Result<Authorization, AuthorizeError>), JoinError>) {
        let (id, answer) = match answer {
            Ok(answer) => answer,
            Err(error) => (error.id(), Err(AuthorizeError::refused("the authoriser panicked"))),
        };
        if let Some(ask) = self.asked.remove(&id) {
            self.shared.answer(&ask, answer);
        }
    }

    fn due(&self) -> Option<Outcome> {
        let now = self.clock.now();
        let done = self.options.target.with(|config| self.shared.handle_timeout(config, now));
        let (advice, timer) = match done {
            Ok(Timeout::Drop { advice, timer }) => (advice, timer),
            Ok(Timeout::Early | Timeout::Pinged) => return None,
            // The server says nothing, and does not take what waits for it either.
            Err(_) => (Advice::ReconnectNow, Timer::Pong),
        };
        Some(Some((advice, ClientError::TimedOut { host: Arc::clone(&self.host), timer })))
    }

    fn end_of_stream(&self) -> Option<Outcome> {
        let mut inner = self.shared.lock();
        let (advice, code, message) = inner.eof(self.clock.now());
        drop(inner);
        let host = Arc::clone(&self.host);
        Some(Some((advice, ClientError::Closed { host, code, message })))
    }

    fn ended(&self, ended: Ended) -> Outcome {
        let host = Arc::clone(&self.host);
        Some(match ended {
            Ended::Closed { code, message, advice } => {
                (advice, ClientError::Closed { host, code, message })
            }
            Ended::Protocol(error) => (Advice::BackOff, ClientError::Protocol { host, error }),
            Ended::Refused(error) => (Advice::BackOff, ClientError::Refused { host, error }),
        })
    }

    fn broken(&self, error: io::Error) -> ClientError {
        ClientError::Io { host: Arc::clone(&self.host), source: Arc::new(error) }
    }

    /// Sends what is left, such as a close frame, and ends the transport.
    async fn finish(&mut self) {
        self.shared.lock().eof(self.clock.now());
        let rest = async {
            self.fetch_output();
            while self.write.has_work() {
                self.write.some().await?;
                self.fetch_output();
            }
            self.write.half.shutdown().await
        };
        // Who does not take it does not need it.
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    }
}

struct NotOpen;

/// The output, written piece by piece; a wait for it can be given up at any time.
struct Writer {
    half: WriteHalf<Stream>,
    waiting: Vec<u8>,
    written: usize,
    flush: bool,
}

impl Writer {
    const fn has_work(&self) -> bool {
        !self.waiting.is_empty() || self.flush
    }

    async fn some(&mut self) -> io::Result<()> {
        let rest = self.waiting.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            self.half.flush().await?;
            self.flush = false;
            return Ok(());
        }
        match self.half.write(rest).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => self.written += n,
        }
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
            self.flush = true;
        }
        Ok(())
    }
}

/// One question to the authoriser, asked until there is an answer.
struct Asking {
    shared: Arc<Shared>,
    authorizer: Option<Authorizer>,
    ask: Arc<Ask>,
    at_once: Arc<Semaphore>,
    patience: Duration,
}

impl Asking {
    async fn run(self) -> Result<Authorization, AuthorizeError> {
        let standing = self.ask.standing.clone();
        let given_up = async {
            match standing {
                Some(mut standing) => {
                    let _ = standing.wait_for(|standing| *standing == Standing::Ended).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = self.until_answered() => answer,
            () = given_up => Err(AuthorizeError::refused("the channel was given up")),
        }
    }

    async fn until_answered(&self) -> Result<Authorization, AuthorizeError> {
        let Some(authorizer) = &self.authorizer else {
            let message = "it needs a signature, and the client has no authoriser: set one";
            return Err(AuthorizeError::refused(message));
        };
        let subject = match &self.ask.channel {
            Some((_, name)) => Subject::Channel(Arc::clone(name)),
            None => Subject::User,
        };
        let request = AuthRequest { socket_id: self.ask.socket_id, subject };
        let clock = tokio::time::Instant::now();
        let mut delays = Reconnect::new();
        loop {
            let permit = self.at_once.acquire().await;
            let asking = tokio::time::timeout(self.patience, authorizer.authorize(request.clone()));
            let answer = asking.await.unwrap_or_else(|_| {
                Err(AuthorizeError::failed("the authoriser did not answer in time"))
            });
            drop(permit);
            let Err(AuthorizeError::Failed(_)) = &answer else { return answer };
            if let Err(error) = &answer
                && !self.shared.delayed(&self.ask, error)
            {
                return answer;
            }
            let now = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
            let now = tidings_core::time::Instant::from_millis(now);
            if let Next::After { delay, .. } = delays.ended(now, Advice::BackOff, Random::number())
            {
                tokio::time::sleep(Duration::from_millis(delay.as_millis())).await;
            }
        }
    }
}
