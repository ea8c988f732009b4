//! One connection: bytes between a transport and the core's machine.

use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Instant as Clock, Timer};
use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use tidings_core::entropy::Entropy;
use tidings_core::io::{Progress, RxBuf, TxBuf};
use tidings_core::json::{Limits, Raw};
use tidings_core::pusher::client::{
    ChannelId, ClientConfig, ClientEvent, FixedClient, Subscription, Timeout,
};
use tidings_core::pusher::{Advice, SocketId, TriggerData};
use tidings_core::time::Instant;

use crate::application::{MAX_AUTH, MAX_CHANNEL_DATA};
use crate::{Application, Authorizer, Outbox, Outgoing};

/// The memory of a connection. `RX` bounds a message, with 14 bytes of header; `TX` bounds what is sent at once, and must
/// hold the longest subscription: 512 is enough for names of 100 bytes with a signature.
#[derive(Debug)]
pub struct Buffers<const RX: usize, const TX: usize> {
    rx: [u8; RX],
    tx: [u8; TX],
}

impl<const RX: usize, const TX: usize> Buffers<RX, TX> {
    /// Empty buffers; they belong into a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self { rx: [0; RX], tx: [0; TX] }
    }
}

impl<const RX: usize, const TX: usize> Default for Buffers<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The connection, or the attempt at one, ended: the server's or the protocol's word for what to do next.
    Closed(Advice),
    /// A buffer is too small for what must go through it: the answer to the opening request, or a subscription.
    Memory,
    /// The transport broke.
    Transport(ErrorKind),
    /// The configuration cannot be put into a request.
    Config,
}

/// A client with what it needs to run a connection.
#[derive(Debug)]
pub struct Session<'s, R, const CHANNELS: usize> {
    /// The client, with its channels.
    pub client: &'s mut FixedClient<&'static str, R, CHANNELS>,
    /// What it connects to.
    pub config: &'s ClientConfig<'s>,
}

/// Milliseconds of embassy's clock.
pub(crate) fn now() -> Instant {
    Instant::from_millis(Clock::now().as_millis())
}

/// What is to be done between two steps.
enum Do {
    Again,
    Ask(ChannelId, SocketId),
    End(Advice),
    Wait,
    Write,
}

impl<R: Entropy, const CHANNELS: usize> Session<'_, R, CHANNELS> {
    /// Opens a connection over `io`, which is connected, and runs it to its end.
    ///
    /// Events go to `app`, signatures come from `authorizer`, and what `outbox` holds is sent as soon as its channel's
    /// subscription is in force. The transport's `read` must be cancel-safe, as that of a TCP socket of embassy-net is.
    pub async fn run<
        M: RawMutex,
        const RX: usize,
        const TX: usize,
        const LEN: usize,
        const DATA: usize,
    >(
        &mut self,
        io: &mut (impl Read + Write),
        buffers: &mut Buffers<RX, TX>,
        outbox: &Outbox<M, LEN, DATA>,
        authorizer: &mut impl Authorizer,
        app: &mut impl Application,
    ) -> End {
        let mut rx = RxBuf::new(&mut buffers.rx);
        let mut tx = TxBuf::new(&mut buffers.tx);
        if self.client.open(self.config, now(), &mut tx).is_err() {
            return End::Config;
        }
        let end = self.drive(io, &mut rx, &mut tx, outbox, authorizer, app).await;
        // Whatever happened, the next connection starts from nothing.
        let _ = self.client.handle_eof(now());
        end
    }

    async fn drive<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        io: &mut (impl Read + Write),
        rx: &mut RxBuf<'_>,
        tx: &mut TxBuf<'_>,
        outbox: &Outbox<M, LEN, DATA>,
        authorizer: &mut impl Authorizer,
        app: &mut impl Application,
    ) -> End {
        loop {
            match self.step(rx, tx, app) {
                Do::Again => {}
                Do::Ask(channel, socket_id) => {
                    self.answer(channel, socket_id, authorizer, tx).await;
                }
                Do::End(advice) => {
                    let _ = write(io, tx).await; // the peer may be gone
                    return End::Closed(advice);
                }
                Do::Write if tx.is_empty() => return End::Memory,
                Do::Write => {
                    if let Err(error) = write(io, tx).await {
                        return End::Transport(error);
                    }
                }
                Do::Wait => {
                    self.send(outbox, tx);
                    if let Err(error) = write(io, tx).await {
                        return End::Transport(error);
                    }
                    if self.sendable(outbox) {
                        continue;
                    }
                    if let Some(end) = self.wait(io, rx, tx, outbox, app).await {
                        return end;
                    }
                }
            }
        }
    }

    /// One step of the machine.
    fn step(&mut self, rx: &mut RxBuf<'_>, tx: &mut TxBuf<'_>, app: &mut impl Application) -> Do {
        let step = match self.client.handle_input(now(), rx.filled_mut(), tx) {
            Ok(step) => step,
            Err(error) => {
                let _ = self.client.fail(error, tx);
                return Do::End(Advice::BackOff);
            }
        };
        let consumed = step.consumed;
        let next = match step.progress {
            Progress::Event(ClientEvent::Authorize { channel, socket_id }) => {
                Do::Ask(channel, socket_id)
            }
            Progress::Event(ClientEvent::Channel { channel, event }) => {
                if let Some(name) = self.client.name(channel) {
                    app.channel_event(name, event);
                }
                Do::Again
            }
            Progress::Event(event) => {
                app.connection_event(event);
                match event {
                    ClientEvent::Closed { advice, .. } => Do::End(advice),
                    ClientEvent::Refused { .. } => Do::End(Advice::BackOff),
                    _ => Do::Again,
                }
            }
            Progress::Advanced => Do::Again,
            Progress::NeedInput { .. } => Do::Wait,
            Progress::NeedOutput { .. } => Do::Write,
        };
        rx.consume(consumed);
        next
    }

    async fn answer(
        &mut self,
        channel: ChannelId,
        socket_id: SocketId,
        authorizer: &mut impl Authorizer,
        tx: &mut TxBuf<'_>,
    ) {
        let Some(name) = self.client.name(channel).copied() else { return };
        let (mut auth, mut data) = ([0; MAX_AUTH], [0; MAX_CHANNEL_DATA]);
        let (mut auth, mut data) = (TxBuf::new(&mut auth), TxBuf::new(&mut data));
        let answer = authorizer.authorize(socket_id, name, &mut auth, &mut data).await;
        let text = |buf: &TxBuf<'_>| core::str::from_utf8(buf.written()).ok().map(str::len);
        let allowed = answer.is_ok() && text(&auth).is_some() && text(&data).is_some();
        let auth = core::str::from_utf8(auth.written()).unwrap_or_default();
        let data = core::str::from_utf8(data.written()).unwrap_or_default();
        let data = (!data.is_empty()).then_some(data);
        // No room now is no room after a flush either: a subscription is the longest thing that is sent.
        if !allowed || self.client.authorize(channel, socket_id, auth, data, tx).is_err() {
            let _ = self.client.refuse(channel, socket_id);
        }
    }

    fn ready<const DATA: usize>(&self, outgoing: &Outgoing<DATA>) -> bool {
        self.client.find(outgoing.channel).is_some_and(|channel| {
            self.client.is_online()
                && self.client.subscription(channel) == Some(Subscription::Subscribed)
        })
    }

    fn sendable<M: RawMutex, const LEN: usize, const DATA: usize>(
        &self,
        outbox: &Outbox<M, LEN, DATA>,
    ) -> bool {
        let mut ready = false;
        let _ = outbox.take_if(|outgoing| {
            ready = self.ready(outgoing);
            false
        });
        ready
    }

    /// Writes events of the outbox into `tx`, as many as fit.
    fn send<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        outbox: &Outbox<M, LEN, DATA>,
        tx: &mut TxBuf<'_>,
    ) {
        loop {
            let room = tx.remaining();
            let fits = |outgoing: &Outgoing<DATA>| {
                let parts = outgoing.channel.len() + outgoing.event.len() + outgoing.data.len();
                parts + 64 <= room
            };
            let empty = tx.is_empty();
            let taken =
                outbox.take_if(|outgoing| self.ready(outgoing) && (fits(outgoing) || empty));
            let Some(outgoing) = taken else { return };
            let Some(channel) = self.client.find(outgoing.channel) else { continue };
            let data = Raw::parse_str(&outgoing.data, Limits::new()).ok().map(TriggerData::Json);
            let _ = self.client.trigger(channel, &outgoing.event, data, tx);
        }
    }

    /// Waits for input, time or the application; `Some` when the connection is over.
    async fn wait<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        io: &mut impl Read,
        rx: &mut RxBuf<'_>,
        tx: &mut TxBuf<'_>,
        outbox: &Outbox<M, LEN, DATA>,
        app: &mut impl Application,
    ) -> Option<End> {
        let spare = rx.spare_mut();
        if spare.is_empty() {
            return Some(End::Memory); // the head of the answer; messages are skipped in time
        }
        let deadline = async {
            match self.client.poll_timeout(self.config) {
                Some(deadline) => Timer::at(Clock::from_millis(deadline.at.as_millis())).await,
                None => core::future::pending().await,
            }
        };
        match select3(io.read(spare), deadline, outbox.filled()).await {
            Either3::First(Ok(0)) => {
                let event = self.client.handle_eof(now());
                let ClientEvent::Closed { advice, .. } = event? else { return None };
                event.into_iter().for_each(|event| app.connection_event(event));
                Some(End::Closed(advice))
            }
            Either3::First(Ok(count)) => {
                rx.commit(count);
                None
            }
            Either3::First(Err(error)) => Some(End::Transport(error.kind())),
            Either3::Second(()) => match self.client.handle_timeout(self.config, now(), tx) {
                Ok(Timeout::Drop { advice, .. }) => Some(End::Closed(advice)),
                Ok(_) | Err(_) => None,
            },
            Either3::Third(()) => None,
        }
    }
}

async fn write(io: &mut impl Write, tx: &mut TxBuf<'_>) -> Result<(), ErrorKind> {
    if tx.is_empty() {
        return Ok(());
    }
    let written = io.write_all(tx.written()).await;
    tx.clear();
    written.map_err(|error| error.kind())?;
    io.flush().await.map_err(|error| error.kind())
}

#[cfg(test)]
mod tests;
