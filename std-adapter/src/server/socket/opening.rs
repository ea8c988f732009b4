//! The first bytes of a stream: a WebSocket's opening handshake, or a request for the HTTP API.

use super::conn::Conn;
use super::reading;
use super::stream::{Detached, Stream};
use super::tls::Tls;
use crate::app::App;
use crate::server::http;
use crate::server::hub::{AppRef, Hub, Notice};
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::shard::Shard;
use crate::server::steps::STEPS;
use bytes::Bytes;
use std::borrow::Cow;
use std::io;
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
    Raw(Detached, Arrival),
    /// The handshake has been answered by another HTTP server; `leftover` came after it.
    Upgraded { stream: Detached, leftover: Bytes, target: Box<str> },
}

/// What is known of a connection when it is accepted.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// The TLS that it must speak.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// What a stream turns out to be.
enum Opening {
    /// A connection: send `reply`, then go on with `leftover`.
    Socket { app: AppRef, core: ServerConn, socket_id: SocketId, reply: Vec<u8>, leftover: Vec<u8> },
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

/// Takes over a stream from another thread.
pub(crate) fn adopt(shard: &Rc<Shard>, adopted: Adopted) {
    let shard = Rc::clone(shard);
    match adopted {
        Adopted::Raw(stream, arrival) => {
            if let Ok(stream) = Stream::attach(stream) {
                tokio::task::spawn_local(serve(shard, stream, arrival));
            }
        }
        Adopted::Upgraded { stream, leftover, target } => {
            let Ok(stream) = Stream::attach(stream) else { return };
            let opening = admit(&shard, &target, Vec::new(), &leftover);
            tokio::task::spawn_local(go_on(shard, stream, opening));
        }
    }
}

/// Serves a freshly accepted stream until its end.
pub(crate) async fn serve(shard: Rc<Shard>, stream: Stream, arrival: Arrival) {
    let patience = shard.hub.config().handshake_timeout;
    // Who says nothing for so long gets no answer either.
    let opened = tokio::time::timeout(patience, open(&shard, stream, arrival)).await;
    if let Ok(Some((stream, opening))) = opened {
        go_on(shard, stream, opening).await;
    }
}

/// Finds out what a stream is for; `None` when it has no TLS and should.
async fn open(shard: &Rc<Shard>, stream: Stream, arrival: Arrival) -> Option<(Stream, Opening)> {
    let stream = match (stream, arrival.tls) {
        (Stream::Tcp(stream), Some(tls)) => match Box::pin(Tls::accept(stream, tls)).await {
            Ok(stream) => Stream::Tls(Box::new(stream)),
            // The peer may be reading why.
            Err(refused) => return refused.map(|stream| (Stream::Tcp(stream.0), Opening::Told)),
        },
        (stream, _) => stream,
    };
    let opening = read_head(shard, &stream).await;
    Some((stream, opening))
}

async fn go_on(shard: Rc<Shard>, stream: Stream, opening: Opening) {
    match opening {
        Opening::Socket { app, core, socket_id, reply, leftover } => {
            let max_waiting = shard.hub.config().max_queue_bytes as usize;
            let conn = {
                let mut local = shard.local.borrow_mut();
                let traffic = local.ledger.of(app.index);
                local.insert(shard.id, |at| {
                    Conn::new(stream, app, at, core, socket_id, max_waiting, traffic)
                })
            };
            shard.hub.notify(Notice::Connected { app: conn.app.index, socket_id });
            let sent = conn.greet(&reply);
            drop(reply);
            shard.resolve(&conn, sent);
            shard.schedule(&conn);
            shard.expect_proof(&conn);
            reading::run(shard, conn, leftover).await;
        }
        Opening::Refused { core, reply } => {
            Box::pin(reading::part(shard, stream, core, reply)).await;
        }
        Opening::Http(bytes) => Box::pin(http::connection::serve(shard, stream, bytes)).await,
        Opening::Broken(reply) => {
            let _ = stream.try_write(&reply); // a peer that cannot take one answer gets none
            let patience = shard.hub.config().close_timeout;
            Box::pin(reading::linger(&stream, patience)).await;
        }
        Opening::Told => {
            let patience = shard.hub.config().close_timeout;
            Box::pin(reading::linger(&stream, patience)).await;
        }
        Opening::Gone => stream.say_goodbye(),
    }
}

async fn read_head(shard: &Rc<Shard>, stream: &Stream) -> Opening {
    // A head that comes in one piece, as nearly all do, is never copied.
    let mut earlier = Vec::new();
    // One that comes byte by byte costs no more than that.
    let mut scanner = HeadScanner::new();
    loop {
        if stream.readable().await.is_err() {
            return Opening::Gone;
        }
        let mut scratch = shard.scratch.borrow_mut();
        let n = match stream.try_read(&mut scratch.rx) {
            Ok(0) => return Opening::Gone,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return Opening::Gone,
        };
        let read = &scratch.rx[..n];
        let input: Cow<'_, [u8]> = if earlier.is_empty() {
            Cow::Borrowed(read)
        } else {
            earlier.extend_from_slice(read);
            Cow::Owned(std::mem::take(&mut earlier))
        };
        match decide(shard, &mut scanner, &input) {
            Some(opening) => return opening,
            None => earlier = input.into_owned(),
        }
    }
}

/// Decides on the head at the front of `input`; `None` while it is not complete.
fn decide(shard: &Shard, scanner: &mut HeadScanner, input: &[u8]) -> Option<Opening> {
    let config = shard.hub.config();
    let limits = HeadLimits::new()
        .max_bytes(config.max_head_bytes as usize)
        .max_fields(config.max_headers as usize);
    let (head, consumed) = match scanner.request(input, limits) {
        Ok(Parse::Done { value, consumed }) => (value, consumed),
        Ok(Parse::NeedMore { .. }) => return None,
        Err(error) => {
            return Some(broken(shard, Refusal::from(error)));
        }
    };
    if !head.wants_upgrade() {
        return Some(Opening::Http(input.to_vec()));
    }
    Some(match UpgradeRequest::from_head(&head) {
        Err(refusal) => broken(shard, refusal),
        Ok(request) => {
            let reply = reply_with(|tx| request.accept(None, tx));
            admit(shard, request.target, reply, input.get(consumed..).unwrap_or_default())
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
/// of a handshake that failed.
fn admit(shard: &Shard, target: &str, mut reply: Vec<u8>, leftover: &[u8]) -> Opening {
    let socket_id = new_socket_id();
    let now = shard.now();
    let mut core = ServerConn::new(socket_id, &shard.protocol, now);
    let mut memory = [0; REPLY_BYTES];
    let mut tx = TxBuf::new(&mut memory);
    match find_app(&shard.hub, target) {
        Ok(app) => {
            let _ = core.establish(&shard.protocol, now, &mut tx); // far smaller than the buffer
            reply.extend_from_slice(tx.written());
            Opening::Socket { app, core, socket_id, reply, leftover: leftover.to_vec() }
        }
        Err(refusal) => {
            let NotAdmitted { app, code, text: message } = refusal;
            tracing::debug!(target: STEPS, code = code.as_u16(), %message, "socket refused");
            let refused = Refused::new(RefusalKind::Socket, code.as_u16(), &message);
            shard.hub.refused(app.as_ref(), refused);
            let _ = core.refuse(code, &message, now, &mut tx);
            reply.extend_from_slice(tx.written());
            Opening::Refused { core, reply }
        }
    }
}

/// Why a socket is not let in.
struct NotAdmitted {
    /// The app that it asked for, where there is one.
    app: Option<Arc<App>>,
    code: ErrorCode,
    text: Cow<'static, str>,
}

/// The checks of an upgrade in their order. On success the app counts one connection more.
fn find_app(hub: &Hub, target: &str) -> Result<AppRef, NotAdmitted> {
    let unknown = |code, text| NotAdmitted { app: None, code, text };
    let target = ConnectTarget::parse(target, &hub.config().path_prefix)
        .map_err(|error| unknown(error.code(), format!("{error}: connect to /app/KEY").into()))?;
    let mut memory = [0; 256];
    let key = target.key.decode_into(&mut memory).unwrap_or_default();
    let Some(app) = hub.apps().by_key(key) else {
        let key: String = key.chars().take(64).collect();
        let text = format!("App key {key} does not exist.");
        return Err(unknown(ErrorCode::APP_UNKNOWN, text.into()));
    };
    let refused = |code, text| NotAdmitted { app: Some(app.clone()), code, text };
    if !app.enabled {
        return Err(refused(ErrorCode::APP_DISABLED, "The app is not enabled.".into()));
    }
    check_protocol(target.protocol).map_err(|(code, text)| refused(code, text.into()))?;
    if hub.is_draining() {
        let text = "Server is closing. Please reconnect shortly.";
        return Err(refused(ErrorCode::RECONNECT, text.into()));
    }
    if !app.try_connect() {
        let limit = app.max_connections.unwrap_or_default();
        let text = format!("The app has its limit of {limit} connections.");
        return Err(refused(ErrorCode::OVER_QUOTA, text.into()));
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
