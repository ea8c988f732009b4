//! Connecting over embassy-net, again and again.

use core::net::Ipv4Addr;

use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Timer, with_timeout};
use tidings_core::entropy::Entropy;
use tidings_core::pusher::Advice;
use tidings_core::pusher::client::ClientConfig;
use tidings_core::reconnect::{Next, Reconnect};
use tidings_core::time::Instant;

use crate::session::now;
#[cfg(feature = "tls")]
use crate::tls::{RecordBuffers, Tls, Wire};
use crate::{Application, Authorizer, Buffers, End, Outbox, Session};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// After how long without an acknowledgement a connection is given up.
const TCP_TIMEOUT: Duration = Duration::from_secs(60);

/// The memory of a device's connection, in one place: make it a `static`.
#[derive(Debug)]
pub struct Resources<const RX: usize, const TX: usize, const TCP: usize> {
    buffers: Buffers<RX, TX>,
    tcp_rx: [u8; TCP],
    tcp_tx: [u8; TCP],
}

impl<const RX: usize, const TX: usize, const TCP: usize> Resources<RX, TX, TCP> {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffers: Buffers::new(), tcp_rx: [0; TCP], tcp_tx: [0; TCP] }
    }
}

impl<const RX: usize, const TX: usize, const TCP: usize> Default for Resources<RX, TX, TCP> {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory of a device's connection over TLS, in one place: make it a `static`.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub struct SecuredResources<
    const RX: usize,
    const TX: usize,
    const TCP: usize,
    const READ: usize = 16_640,
    const WRITE: usize = 1024,
> {
    plain: Resources<RX, TX, TCP>,
    records: RecordBuffers<READ, WRITE>,
}

#[cfg(feature = "tls")]
impl<const RX: usize, const TX: usize, const TCP: usize, const READ: usize, const WRITE: usize>
    SecuredResources<RX, TX, TCP, READ, WRITE>
{
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { plain: Resources::new(), records: RecordBuffers::new() }
    }
}

#[cfg(feature = "tls")]
impl<const RX: usize, const TX: usize, const TCP: usize, const READ: usize, const WRITE: usize>
    Default for SecuredResources<RX, TX, TCP, READ, WRITE>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps a connection up, for ever: waits for the network, asks DNS, connects, runs the session, waits as the core's
/// arithmetic says, and does it all again.
///
/// It returns only when the server says that another attempt is of no use (an unknown key, say), or when the memory or the
/// configuration can't do: with how the last connection ended.
pub async fn run<
    M: RawMutex,
    R: Entropy,
    const RX: usize,
    const TX: usize,
    const TCP: usize,
    const LEN: usize,
    const DATA: usize,
    const CHANNELS: usize,
>(
    stack: Stack<'_>,
    mut session: Session<'_, R, CHANNELS>,
    resources: &mut Resources<RX, TX, TCP>,
    outbox: &Outbox<M, LEN, DATA>,
    authorizer: &mut impl Authorizer,
    app: &mut impl Application,
    mut chance: impl FnMut() -> u32,
) -> End {
    let mut reconnect = Reconnect::new();
    let Resources { buffers, tcp_rx, tcp_tx } = resources;
    loop {
        stack.wait_config_up().await;
        let began = now();
        let end = match connect(stack, session.config, tcp_rx, tcp_tx).await {
            Some(mut socket) => {
                let (mut reader, mut writer) = socket.split();
                let run = session.run(&mut reader, &mut writer, buffers, outbox, authorizer, app);
                let end = run.await;
                leave(socket).await;
                end
            }
            None => End::Closed(Advice::BackOff),
        };
        app.ended(end);
        // Over this transport there is no TLS.
        if pause(&mut reconnect, began, end, chance(), false).await == Attempt::Never {
            return end;
        }
    }
}

/// As [`run`], over TLS.
#[cfg(feature = "tls")]
pub async fn run_secured<
    M: RawMutex,
    R: Entropy,
    E: Entropy,
    const RX: usize,
    const TX: usize,
    const TCP: usize,
    const READ: usize,
    const WRITE: usize,
    const LEN: usize,
    const DATA: usize,
    const CHANNELS: usize,
>(
    stack: Stack<'_>,
    mut session: Session<'_, R, CHANNELS>,
    resources: &mut SecuredResources<RX, TX, TCP, READ, WRITE>,
    outbox: &Outbox<M, LEN, DATA>,
    authorizer: &mut impl Authorizer,
    app: &mut impl Application,
    mut tls: Tls<'_, E>,
) -> End {
    let mut reconnect = Reconnect::new();
    let SecuredResources { plain: Resources { buffers, tcp_rx, tcp_tx }, records } = resources;
    loop {
        stack.wait_config_up().await;
        let began = now();
        let end = match connect(stack, session.config, tcp_rx, tcp_tx).await {
            Some(mut socket) => {
                let (reader, writer) = socket.split();
                let wire = Wire::new(reader, writer);
                let end = match tls.secure(&wire, session.config.host, records).await {
                    Ok(mut secured) => {
                        let (mut reader, mut writer) = secured.split();
                        let run =
                            session.run(&mut reader, &mut writer, buffers, outbox, authorizer, app);
                        let end = run.await;
                        let failure = secured.failure();
                        failure.map_or(end, End::Tls)
                    }
                    Err(failure) => End::Tls(failure),
                };
                leave(socket).await;
                end
            }
            None => End::Closed(Advice::BackOff),
        };
        app.ended(end);
        let mut random = [0; 4];
        tls.random.fill(&mut random);
        let chance = u32::from_ne_bytes(random);
        if pause(&mut reconnect, began, end, chance, true).await == Attempt::Never {
            return end;
        }
    }
}

/// Whether another attempt is made.
#[derive(PartialEq, Eq)]
enum Attempt {
    Again,
    Never,
}

/// Waits until the next attempt is due.
async fn pause(
    reconnect: &mut Reconnect,
    began: Instant,
    end: End,
    chance: u32,
    secured: bool,
) -> Attempt {
    let advice = match end {
        End::Closed(advice) => advice,
        End::Transport(_) => Advice::BackOff,
        #[cfg(feature = "tls")]
        End::Tls(_) => Advice::BackOff,
        End::Memory | End::Config => return Attempt::Never,
    };
    reconnect.connected(began);
    match reconnect.ended(now(), advice, chance) {
        Next::After { tls, delay } if secured || !tls => {
            Timer::after_millis(delay.as_millis()).await;
            Attempt::Again
        }
        Next::After { .. } | Next::Never => Attempt::Never,
    }
}

/// Ends a connection so that the next one finds nothing of it.
async fn leave(mut socket: TcpSocket<'_>) {
    socket.abort();
    // What is left to be said, a reset at worst, leaves before the next connection.
    let _ = with_timeout(Duration::from_millis(100), socket.flush()).await;
}

async fn connect<'b>(
    stack: Stack<'b>,
    config: &ClientConfig<'_>,
    rx: &'b mut [u8],
    tx: &'b mut [u8],
) -> Option<TcpSocket<'b>> {
    let address = match config.host.parse::<Ipv4Addr>() {
        Ok(address) => IpAddress::Ipv4(address),
        Err(_) => {
            let query = stack.dns_query(config.host, DnsQueryType::A);
            *with_timeout(CONNECT_TIMEOUT, query).await.ok()?.ok()?.first()?
        }
    };
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.set_timeout(Some(TCP_TIMEOUT));
    socket.set_nagle_enabled(false);
    let connected = with_timeout(CONNECT_TIMEOUT, socket.connect((address, config.port))).await;
    connected.ok()?.ok()?;
    Some(socket)
}
