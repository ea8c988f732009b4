//! One connection: bytes between a transport and the core's machine.

use core::pin::pin;

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
    /// The connection could not be secured, or did not stay so.
    #[cfg(feature = "tls")]
    Tls(crate::tls::Failure),
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

/// The transport with the memory in front of it.
struct Line<'l, R, W> {
    reader: &'l mut R,
    writer: &'l mut W,
    rx: RxBuf<'l>,
    tx: TxBuf<'l>,
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
    /// Opens a connection over a transport, which is connected, and runs it to its end.
    ///
    /// Events go to `app`, signatures come from `authorizer`, and what `outbox` holds is sent as soon as its channel's
    /// subscription is in force. A read that has begun is given up only at the end of the connection, so that `reader` needs
    /// not be cancel-safe.
    pub async fn run<
        M: RawMutex,
        const RX: usize,
        const TX: usize,
        const LEN: usize,
        const DATA: usize,
    >(
        &mut self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        buffers: &mut Buffers<RX, TX>,
        outbox: &Outbox<M, LEN, DATA>,
        authorizer: &mut impl Authorizer,
        app: &mut impl Application,
    ) -> End {
        let (rx, tx) = (RxBuf::new(&mut buffers.rx), TxBuf::new(&mut buffers.tx));
        let mut line = Line { reader, writer, rx, tx };
        if self.client.open(self.config, now(), &mut line.tx).is_err() {
            return End::Config;
        }
        let end = self.drive(&mut line, outbox, authorizer, app).await;
        // Whatever happened, the next connection starts from nothing.
        let _ = self.client.handle_eof(now());
        end
    }

    async fn drive<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        line: &mut Line<'_, impl Read, impl Write>,
        outbox: &Outbox<M, LEN, DATA>,
        authorizer: &mut impl Authorizer,
        app: &mut impl Application,
    ) -> End {
        loop {
            match self.step(&mut line.rx, &mut line.tx, app) {
                Do::Again => {}
                Do::Ask(channel, socket_id) => {
                    self.answer(channel, socket_id, authorizer, &mut line.tx).await;
                }
                Do::End(advice) => {
                    let _ = write(line.writer, &mut line.tx).await; // the peer may be gone
                    return End::Closed(advice);
                }
                Do::Write if line.tx.is_empty() => return End::Memory,
                Do::Write => {
                    if let Err(error) = write(line.writer, &mut line.tx).await {
                        return End::Transport(error);
                    }
                }
                Do::Wait => {
                    if let Err(end) = self.wait(line, outbox, app).await {
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

    /// Sends what is written, and of the outbox what can be sent.
    async fn send<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        writer: &mut impl Write,
        outbox: &Outbox<M, LEN, DATA>,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), End> {
        loop {
            self.encode(outbox, tx);
            write(writer, tx).await.map_err(End::Transport)?;
            if !self.sendable(outbox) {
                return Ok(());
            }
        }
    }

    /// Writes events of the outbox into `tx`, as many as fit.
    fn encode<M: RawMutex, const LEN: usize, const DATA: usize>(
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

    /// Sends what is to be sent, also while it waits for input; `Err` when the connection is over.
    async fn wait<M: RawMutex, const LEN: usize, const DATA: usize>(
        &mut self,
        line: &mut Line<'_, impl Read, impl Write>,
        outbox: &Outbox<M, LEN, DATA>,
        app: &mut impl Application,
    ) -> Result<(), End> {
        let Line { reader, writer, rx, tx } = line;
        let count = {
            let spare = rx.spare_mut();
            if spare.is_empty() {
                return Err(End::Memory); // the head of the answer; messages are skipped in time
            }
            // What time and the application bring is only to be sent: the read goes on meanwhile.
            let mut read = pin!(reader.read(spare));
            loop {
                self.send(*writer, outbox, tx).await?;
                let deadline = async {
                    match self.client.poll_timeout(self.config) {
                        Some(deadline) => {
                            Timer::at(Clock::from_millis(deadline.at.as_millis())).await;
                        }
                        None => core::future::pending().await,
                    }
                };
                match select3(read.as_mut(), deadline, outbox.filled()).await {
                    Either3::First(Ok(count)) => break count,
                    Either3::First(Err(error)) => return Err(End::Transport(error.kind())),
                    Either3::Second(()) => {
                        let timeout = self.client.handle_timeout(self.config, now(), tx);
                        if let Ok(Timeout::Drop { advice, .. }) = timeout {
                            return Err(End::Closed(advice));
                        }
                    }
                    Either3::Third(()) => {}
                }
            }
        };
        if count > 0 {
            rx.commit(count);
            return Ok(());
        }
        let event = self.client.handle_eof(now());
        let Some(ClientEvent::Closed { advice, .. }) = event else { return Ok(()) };
        event.into_iter().for_each(|event| app.connection_event(event));
        Err(End::Closed(advice))
    }
}

async fn write(writer: &mut impl Write, tx: &mut TxBuf<'_>) -> Result<(), ErrorKind> {
    if tx.is_empty() {
        return Ok(());
    }
    let written = writer.write_all(tx.written()).await;
    tx.clear();
    written.map_err(|error| error.kind())?;
    writer.flush().await.map_err(|error| error.kind())
}

#[cfg(test)]
pub(crate) mod tests;
