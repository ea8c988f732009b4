//! The first bytes of a stream: a WebSocket's opening handshake, or a request for the HTTP API.

use super::conn::Conn;
use super::reading;
use super::stream::{Detached, Stream};
use super::tls::Tls;
use crate::app::App;
use crate::config::origin::allowed;
use crate::server::http;
use crate::server::hub::{AppRef, Hub, Notice};
use crate::server::listener::proxy::{self, Said};
use crate::server::listener::{self, Crowded, Gate, Pass, Slot};
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::shard::{Shard, Terms};
use crate::server::steps::STEPS;
use crate::server::{AppName, Verdict};
use bytes::Bytes;
use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tidings_core::io::{Parse, TxBuf};
use tidings_core::pusher::server::ServerConn;
use tidings_core::pusher::{ConnectTarget, ErrorCode, SocketId, check_protocol};
use tidings_core::websocket::handshake::{HeadLimits, HeadScanner, Refusal, UpgradeRequest};

/// Room for the answer to an opening handshake: the 101 and the first frames.
const REPLY_BYTES: usize = 2048;

/// A stream on its way to its shard.
#[derive(Debug)]
pub(crate) enum Adopted {
    /// Accepted, nothing read.
    Raw(Detached, Box<Arrival>),
    /// The handshake has been answered by another HTTP server; `leftover` came after it.
    Upgraded { stream: Detached, leftover: Bytes, asked: Asked, slot: Option<Box<Slot>> },
}

/// What the request for a WebSocket said.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: Box<str>,
    /// The origin of the page that it comes from, if it comes from one.
    pub(crate) origin: Option<Box<[u8]>>,
}

/// What is known of a connection when it is accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The TLS that it must speak.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) gate: Arc<Gate>,
    /// The address of who connected, if it has one.
    pub(crate) from: Option<IpAddr>,
    /// Counts it among those that are on their way in.
    #[expect(dead_code, reason = "it counts as long as it is there")]
    pub(crate) pending: Option<Pass>,
}

/// A stream that has shown what it is for.
struct Opened {
    stream: Stream,
    opening: Opening,
    /// Its place among the connections of its address.
    slot: Option<Box<Slot>>,
}

/// What a stream turns out to be.
enum Opening {
    /// A connection: send `reply`, then go on with `leftover`.
    Socket {
        app: AppRef,
        terms: Rc<Terms>,
        core: ServerConn,
        socket_id: SocketId,
        reply: Vec<u8>,
        leftover: Vec<u8>,
    },
    /// A WebSocket for an app that is not known, and may be looked up.
    Unknown(Box<Unknown>),
    /// A WebSocket that is told why it is refused.
    Refused { core: ServerConn, reply: Vec<u8> },
    /// HTTP, beginning with these bytes.
    Http(Vec<u8>),
    /// No HTTP that can be understood: send the answer and close.
    Broken(Vec<u8>),
    /// It has been told why not.
    Told,
    /// Nothing has come, or the end.
    Gone,
}

/// A WebSocket that waits for its app to be looked up.
struct Unknown {
    name: AppName,
    asked: Asked,
    reply: Vec<u8>,
    leftover: Vec<u8>,
}

/// Takes over a stream from another thread.
pub(crate) fn adopt(shard: &Rc<Shard>, adopted: Adopted) {
    let shard = Rc::clone(shard);
    match adopted {
        Adopted::Raw(stream, arrival) => {
            if let Ok(stream) = Stream::attach(stream) {
                tokio::task::spawn_local(serve(shard, stream, arrival));
            }
        }
        Adopted::Upgraded { stream, leftover, asked, slot } => {
            let Ok(stream) = Stream::attach(stream) else { return };
            let asked = (&*asked.target, asked.origin.as_deref());
            let opening = admit(&shard, asked, Vec::new(), &leftover, None);
            tokio::task::spawn_local(go_on(shard, Opened { stream, opening, slot }));
        }
    }
}

/// Serves a freshly accepted stream until its end.
pub(crate) async fn serve(shard: Rc<Shard>, stream: Stream, arrival: Box<Arrival>) {
    let patience = shard.hub.config().handshake_timeout;
    // Who says nothing for so long gets no answer either.
    let opened = tokio::time::timeout(patience, open(&shard, stream, arrival)).await;
    if let Ok(Some(opened)) = opened {
        go_on(shard, opened).await;
    }
}

/// Finds out what a stream is for, and from whom it is; `None` when it is of no use.
async fn open(shard: &Rc<Shard>, stream: Stream, mut arrival: Box<Arrival>) -> Option<Opened> {
    let mut read = Vec::new();
    if shard.hub.config().proxy_protocol {
        match Box::pin(read_proxy_header(shard, &stream, &mut read)).await? {
            Ok(told) => arrival.from = told.or(arrival.from),
            // One that waits for TLS would not understand the words.
            Err(_) if arrival.tls.is_some() => return None,
            Err(opening) => return Some(Opened { stream, opening, slot: None }),
        }
    }
    let stream = match (stream, arrival.tls.take()) {
        (Stream::Tcp(stream), Some(tls)) => {
            match Box::pin(Tls::accept(stream, tls, std::mem::take(&mut read))).await {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err(refused) => {
                    // The peer may be reading why.
                    let stream = Stream::Tcp(refused?.0);
                    return Some(Opened { stream, opening: Opening::Told, slot: None });
                }
            }
        }
        (stream, _) => stream,
    };
    let (opening, slot) = read_head(shard, &stream, &arrival, read).await;
    Some(Opened { stream, opening, slot })
}

/// Reads whom the proxy speaks for, if it says so; what came after it stays in `read`. The inner error is what one is told
/// who comes without a proxy, and `None` means that it is gone.
async fn read_proxy_header(
    shard: &Rc<Shard>,
    stream: &Stream,
    read: &mut Vec<u8>,
) -> Option<Result<Option<IpAddr>, Opening>> {
    loop {
        stream.readable().await.ok()?;
        let mut scratch = shard.scratch.borrow_mut();
        match stream.try_read(&mut scratch.rx) {
            Ok(0) => return None,
            Ok(n) => read.extend_from_slice(&scratch.rx[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        }
        drop(scratch);
        match proxy::parse(read) {
            Said::NeedMore => {}
            Said::For { client, len } => {
                read.drain(..len);
                return Some(Ok(client));
            }
            Said::Nothing => {
                tracing::debug!("a connection does not begin with the PROXY protocol");
                let reason = "Only a proxy that speaks the PROXY protocol may connect here";
                return Some(Err(broken(shard, Refusal::new(400, reason))));
            }
        }
    }
}

async fn go_on(shard: Rc<Shard>, opened: Opened) {
    let Opened { stream, opening, slot } = opened;
    let opening = match opening {
        Opening::Unknown(unknown) => Box::pin(look_up(&shard, *unknown)).await,
        opening => opening,
    };
    match opening {
        Opening::Socket { app, terms, core, socket_id, reply, leftover } => {
            let now = shard.now();
            let conn = {
                let mut local = shard.local.borrow_mut();
                let traffic = local.ledger.of(app.index);
                local.insert(shard.id, |at| {
                    Conn::new(stream, app, at, core, socket_id, terms, traffic).since(now)
                })
            };
            shard.hub.notify(Notice::Connected { app: conn.app.index, socket_id });
            let sent = conn.greet(&reply);
            drop(reply);
            shard.resolve(&conn, sent);
            shard.schedule(&conn);
            shard.expect_proof(&conn);
            let flow = reading::begin(&shard, &conn, leftover);
            // In a task of its own, which lives long: it has no room for the ways that a beginning can take.
            tokio::task::spawn_local(reading::run(shard, conn, flow, slot));
            return;
        }
        Opening::Refused { core, reply } => {
            Box::pin(reading::part(shard, stream, core, reply)).await;
        }
        Opening::Http(bytes) => {
            return Box::pin(http::connection::serve(shard, stream, bytes, slot)).await;
        }
        Opening::Broken(reply) => {
            let patience = shard.hub.config().close_timeout;
            let told = tokio::time::timeout(patience, reading::write_all(&stream, &reply)).await;
            if matches!(told, Ok(Ok(()))) {
                Box::pin(reading::linger(&stream, patience)).await;
            }
        }
        Opening::Told => {
            let patience = shard.hub.config().close_timeout;
            Box::pin(reading::linger(&stream, patience)).await;
        }
        // What has been looked up once is not looked up again.
        Opening::Gone | Opening::Unknown(_) => stream.say_goodbye(),
    }
    drop(slot);
}

/// Waits for what comes of looking up the app, and decides with that.
async fn look_up(shard: &Shard, unknown: Unknown) -> Opening {
    let Unknown { name, asked, reply, leftover } = unknown;
    let verdict = match shard.hub.apps().lookups() {
        Some(lookups) => lookups.ask(name).await,
        None => Verdict::Unknown,
    };
    let asked = (&*asked.target, asked.origin.as_deref());
    admit(shard, asked, reply, &leftover, Some(verdict))
}

async fn read_head(
    shard: &Rc<Shard>,
    stream: &Stream,
    arrival: &Arrival,
    mut earlier: Vec<u8>,
) -> (Opening, Option<Box<Slot>>) {
    // One that comes byte by byte costs no more than its bytes.
    let mut scanner = HeadScanner::new();
    if !earlier.is_empty()
        && let Some(decided) = decide(shard, arrival, &mut scanner, &earlier)
    {
        return decided;
    }
    let gone = (Opening::Gone, None);
    loop {
        if stream.readable().await.is_err() {
            return gone;
        }
        let mut scratch = shard.scratch.borrow_mut();
        let n = match stream.try_read(&mut scratch.rx) {
            Ok(0) => return gone,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return gone,
        };
        let read = &scratch.rx[..n];
        // A head that comes in one piece, as nearly all do, is never copied.
        let input: Cow<'_, [u8]> = if earlier.is_empty() {
            Cow::Borrowed(read)
        } else {
            earlier.extend_from_slice(read);
            Cow::Owned(std::mem::take(&mut earlier))
        };
        match decide(shard, arrival, &mut scanner, &input) {
            Some(decided) => return decided,
            None => earlier = input.into_owned(),
        }
    }
}

/// Decides on the head at the front of `input`; `None` while it is not complete.
fn decide(
    shard: &Shard,
    arrival: &Arrival,
    scanner: &mut HeadScanner,
    input: &[u8],
) -> Option<(Opening, Option<Box<Slot>>)> {
    let config = shard.hub.config();
    let limits = HeadLimits::new()
        .max_bytes(config.max_head_bytes as usize)
        .max_fields(config.max_headers as usize);
    let (head, consumed) = match scanner.request(input, limits) {
        Ok(Parse::Done { value, consumed }) => (value, consumed),
        Ok(Parse::NeedMore { .. }) => return None,
        Err(error) => return Some((broken(shard, Refusal::from(error)), None)),
    };
    let client = listener::client(arrival.from, &head, &config.trusted_proxies);
    let entered = arrival.gate.enter(client, config.max_connections_per_address);
    if let Some(client) = client {
        tracing::debug!(target: STEPS, %client, method = head.method, "request");
    }
    if !head.wants_upgrade() {
        let refusal = Refusal::new(429, "There are too many connections from this address");
        return Some(match entered {
            Ok(slot) => (Opening::Http(input.to_vec()), slot),
            Err(_) => (broken(shard, refusal), None),
        });
    }
    let leftover = input.get(consumed..).unwrap_or_default();
    Some(match (UpgradeRequest::from_head(&head), entered) {
        (Err(refusal), _) => (broken(shard, refusal), None),
        (Ok(request), Ok(slot)) => {
            let reply = reply_with(|tx| request.accept(None, tx));
            let asked = (request.target, head.header("origin"));
            (admit(shard, asked, reply, leftover, None), slot)
        }
        (Ok(request), Err(Crowded { limit })) => {
            let reply = reply_with(|tx| request.accept(None, tx));
            let text =
                format!("There are {limit} connections from this address, which is the limit.");
            let core = ServerConn::new(new_socket_id(), &shard.terms().protocol(), shard.now());
            let refusal = NotAdmitted::nowhere(ErrorCode::OVER_CAPACITY, text.into());
            (turn_away(shard, core, reply, refusal), None)
        }
    })
}

fn broken(shard: &Shard, refusal: Refusal) -> Opening {
    let refused = Refused::new(RefusalKind::Http, refusal.status, refusal.reason);
    shard.hub.refused(None, refused);
    Opening::Broken(reply_with(|tx| refusal.write(tx)))
}

fn reply_with<E>(write: impl FnOnce(&mut TxBuf<'_>) -> Result<(), E>) -> Vec<u8> {
    let mut memory = [0; REPLY_BYTES];
    let mut tx = TxBuf::new(&mut memory);
    let _ = write(&mut tx); // answers are far smaller than the buffer
    tx.written().to_vec()
}

/// Lets a WebSocket in, or says why not, as the first thing after the handshake: browsers show nothing
/// of a handshake that failed. `looked_up` is what came of looking its app up, once that has been done.
fn admit(
    shard: &Shard,
    asked: (&str, Option<&[u8]>),
    mut reply: Vec<u8>,
    leftover: &[u8],
    looked_up: Option<Verdict>,
) -> Opening {
    let socket_id = new_socket_id();
    let now = shard.now();
    let terms = shard.terms();
    let mut core = ServerConn::new(socket_id, &terms.protocol(), now);
    let mut memory = [0; REPLY_BYTES];
    let mut tx = TxBuf::new(&mut memory);
    match find_app(&shard.hub, asked, looked_up) {
        Ok(app) => {
            let _ = core.establish(&terms.protocol(), now, &mut tx); // far smaller than the buffer
            reply.extend_from_slice(tx.written());
            let leftover = leftover.to_vec();
            Opening::Socket { app, terms, core, socket_id, reply, leftover }
        }
        Err(NotAdmitted { look_up: Some(name), .. }) => {
            let asked = Asked { target: asked.0.into(), origin: asked.1.map(Into::into) };
            let leftover = leftover.to_vec();
            Opening::Unknown(Box::new(Unknown { name, asked, reply, leftover }))
        }
        Err(refusal) => turn_away(shard, core, reply, refusal),
    }
}

/// Tells a WebSocket why it is not let in, behind the answer to its handshake.
fn turn_away(
    shard: &Shard,
    mut core: ServerConn,
    mut reply: Vec<u8>,
    refusal: NotAdmitted,
) -> Opening {
    let NotAdmitted { app, code, text: message, .. } = refusal;
    tracing::debug!(target: STEPS, code = code.as_u16(), reason = %message, "socket refused");
    let refused = Refused::new(RefusalKind::Socket, code.as_u16(), &message);
    shard.hub.refused(app.as_ref(), refused);
    reply.extend_from_slice(&reply_with(|tx| core.refuse(code, &message, shard.now(), tx)));
    Opening::Refused { core, reply }
}

/// Why a socket is not let in.
struct NotAdmitted {
    /// The app that it asked for, where there is one.
    app: Option<Arc<App>>,
    code: ErrorCode,
    text: Cow<'static, str>,
    /// The app that may be looked up before this is said.
    look_up: Option<AppName>,
}

impl NotAdmitted {
    /// It asked for no app that there is.
    const fn nowhere(code: ErrorCode, text: Cow<'static, str>) -> Self {
        Self { app: None, code, text, look_up: None }
    }

    /// There is no app with this key; or that is not known.
    fn unknown(hub: &Hub, key: &str, looked_up: Option<Verdict>) -> Self {
        if let Some(trouble) = looked_up.and_then(Verdict::trouble) {
            // Clients never try a key again that does not exist, and this one may.
            return Self::nowhere(ErrorCode::OVER_CAPACITY, trouble.into());
        }
        let may_be_elsewhere = looked_up.is_none() && hub.apps().lookups().is_some();
        let shown: String = key.chars().take(64).collect();
        let text = format!("App key {shown} does not exist.");
        let look_up = may_be_elsewhere.then(|| AppName::Key(key.into()));
        Self { look_up, ..Self::nowhere(ErrorCode::APP_UNKNOWN, text.into()) }
    }
}

/// The checks of an upgrade in their order. On success the app counts one connection more.
fn find_app(
    hub: &Hub,
    (target, origin): (&str, Option<&[u8]>),
    looked_up: Option<Verdict>,
) -> Result<AppRef, NotAdmitted> {
    let config = hub.config();
    let target = ConnectTarget::parse(target, &config.path_prefix).map_err(|error| {
        NotAdmitted::nowhere(error.code(), format!("{error}: connect to /app/KEY").into())
    })?;
    let mut memory = [0; 256];
    let key = target.key.decode_into(&mut memory).unwrap_or_default();
    let Some(app) = hub.apps().by_key(key) else {
        return Err(NotAdmitted::unknown(hub, key, looked_up));
    };
    let refused =
        |code, text| NotAdmitted { app: Some(app.clone()), ..NotAdmitted::nowhere(code, text) };
    if !app.enabled {
        return Err(refused(ErrorCode::APP_DISABLED, "The app is not enabled.".into()));
    }
    check_protocol(target.protocol).map_err(|(code, text)| refused(code, text.into()))?;
    // Who names no origin is no page.
    let patterns = config.origins(Some(&app));
    if let Some(origin) = origin.filter(|origin| !allowed(patterns, origin)) {
        let origin: String = String::from_utf8_lossy(origin).chars().take(64).collect();
        let text = format!("Origin not allowed: `allowed_origins` has no {origin}.");
        return Err(refused(ErrorCode::UNAUTHORIZED, text.into()));
    }
    if hub.is_draining() {
        let text = "Server is closing. Please reconnect shortly.";
        return Err(refused(ErrorCode::RECONNECT, text.into()));
    }
    if !app.try_connect() {
        let limit = app.max_connections.unwrap_or_default();
        let text = format!("The app has its limit of {limit} connections.");
        // Soketi's clients are used to trying again.
        let again = config.soketi_answers;
        let code = if again { ErrorCode::OVER_CAPACITY } else { ErrorCode::OVER_QUOTA };
        return Err(refused(code, text.into()));
    }
    Ok(AppRef::new(hub.apps(), &app))
}

/// Two random numbers, as clients expect; 2^66 of them, so nobody guesses one or gets it twice.
fn new_socket_id() -> SocketId {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Only a system without a random source; ids must be unique then, if not secret.
        let count = SEQUENCE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        bytes[..8].copy_from_slice(&count.to_le_bytes());
    }
    let value = u128::from_le_bytes(bytes);
    let part = |v: u128| u64::try_from(v % 10_000_000_000).unwrap_or_default();
    SocketId::new(part(value), part(value >> 64))
}

static SEQUENCE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
