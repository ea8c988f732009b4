//! The practical ceiling of a server of this kind: what the kernel allows to one thread.
//!
//! A publish becomes one WebSocket frame by cutting the request's body at known places, and those same
//! bytes are written to every socket of the channel. No JSON, no authentication, no limit, no presence:
//! it trusts its peers and is not a server to use. Hold a server against it with `benches/rounds`.
//!
//! ```sh
//! cargo run --release --example rawfan -- --port 6110 --mode write
//! tidings bench fanout --port 6110
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use clap::{Parser, ValueEnum};
use memchr::{memchr, memmem};
use tidings_core::io::{Parse, TxBuf};
use tidings_core::websocket::handshake::accept_key;
use tidings_core::websocket::{Header, Mask, Opcode, encode_frame};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const HELLO: &[u8] = br#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}"#;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One write for each message and socket, message by message
    Write,
    /// Messages that arrive together go to one socket after the other, one write each
    Burst,
    /// Messages that arrive together are joined into one write a socket
    Batch,
}

/// What the kernel allows: writes pre-made frames, and does no protocol work.
#[derive(Debug, Parser)]
struct Cli {
    /// Port of loopback to listen on
    #[arg(long, default_value_t = 6110)]
    port: u16,
    /// How frames are written
    #[arg(long, value_enum, default_value_t = Mode::Write)]
    mode: Mode,
}

/// A WebSocket.
struct Peer {
    stream: TcpStream,
    /// What the socket had no room for.
    unsent: RefCell<Vec<u8>>,
    wake: Notify,
}

impl Peer {
    fn send(&self, bytes: &[u8]) {
        let mut unsent = self.unsent.borrow_mut();
        let sent = if unsent.is_empty() { self.stream.try_write(bytes).unwrap_or(0) } else { 0 };
        if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            unsent.extend_from_slice(rest);
            self.wake.notify_one();
        }
    }

    fn send_frame(&self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, opcode, payload);
        self.send(&bytes);
    }

    /// Writes what `send` had to leave behind.
    async fn flush(&self) -> io::Result<()> {
        loop {
            self.wake.notified().await;
            while !self.unsent.borrow().is_empty() {
                self.stream.writable().await?;
                let mut unsent = self.unsent.borrow_mut();
                match self.stream.try_write(&unsent) {
                    Ok(n) => drop(unsent.drain(..n)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Frames of one channel that wait for the next round of writes.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

struct Hub {
    mode: Mode,
    channels: RefCell<HashMap<Vec<u8>, Vec<Rc<Peer>>>>,
    waiting: RefCell<HashMap<Vec<u8>, Waiting>>,
    wake: Notify,
}

impl Hub {
    fn deliver(&self, channel: &[u8], bytes: &[u8]) {
        if let Some(peers) = self.channels.borrow().get(channel) {
            peers.iter().for_each(|peer| peer.send(bytes));
        }
    }

    /// Takes `{"name":"…","channel":"…","data":…}`, in this order.
    fn publish(&self, body: &[u8]) -> Option<()> {
        let name = string_after(body, b"\"name\":\"")?;
        let channel = string_after(body, b"\"channel\":\"")?;
        let data = body.get(memmem::find(body, b"\"data\":")?..)?;
        let text = [b"{\"event\":\"", name, b"\",\"channel\":\"", channel, b"\",", data].concat();
        if self.mode == Mode::Write {
            let mut frame = Vec::new();
            push_frame(&mut frame, Opcode::Text, &text);
            self.deliver(channel, &frame);
            return Some(());
        }
        let mut waiting = self.waiting.borrow_mut();
        let frames = waiting.entry(channel.to_vec()).or_default();
        push_frame(&mut frames.bytes, Opcode::Text, &text);
        frames.ends.push(frames.bytes.len());
        self.wake.notify_one();
        Some(())
    }

    /// Socket by socket, every frame on its own.
    fn burst(&self, channel: &[u8], frames: &Waiting) {
        for peer in self.channels.borrow().get(channel).into_iter().flatten() {
            let mut start = 0;
            for &end in &frames.ends {
                peer.send(&frames.bytes[start..end]);
                start = end;
            }
        }
    }

    async fn write_what_waits(&self) {
        loop {
            self.wake.notified().await;
            // Lets every publisher that is ready add its message.
            tokio::task::yield_now().await;
            for (channel, frames) in self.waiting.take() {
                match self.mode {
                    Mode::Burst => self.burst(&channel, &frames),
                    Mode::Batch | Mode::Write => self.deliver(&channel, &frames.bytes),
                }
            }
        }
    }
}

fn push_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let start = out.len();
    out.resize(start + Header::MAX_LEN + payload.len(), 0);
    let mut tx = TxBuf::new(&mut out[start..]);
    encode_frame(&mut tx, None, opcode, true, payload).expect("the room was made just now");
    let len = tx.len();
    out.truncate(start + len);
}

fn string_after<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let rest = text.get(memmem::find(text, key)? + key.len()..)?;
    rest.get(..memchr(b'"', rest)?)
}

fn header<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let colon = memchr(b':', line)?;
        let value = line[colon + 1..].trim_ascii();
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| str::from_utf8(value).ok())?
    })
}

async fn fill(stream: &TcpStream, buf: &mut Vec<u8>) -> io::Result<()> {
    loop {
        stream.readable().await?;
        let mut chunk = [0; 8192];
        match stream.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf.extend_from_slice(&chunk[..n]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Serves publishes, until one turns out to be a WebSocket.
async fn connection(stream: TcpStream, hub: Rc<Hub>) -> io::Result<()> {
    let mut buf = Vec::new();
    loop {
        let Some(end) = memmem::find(&buf, b"\r\n\r\n") else {
            fill(&stream, &mut buf).await?;
            continue;
        };
        let body = end + 4;
        let head = &buf[..end + 2];
        if let Some(key) = header(head, "sec-websocket-key") {
            stream.try_write(&upgrade_answer(key))?;
            buf.drain(..body);
            return websocket(stream, &hub, buf).await;
        }
        let length = header(head, "content-length").and_then(|length| length.parse().ok());
        let whole = body + length.unwrap_or(0_usize);
        while buf.len() < whole {
            fill(&stream, &mut buf).await?;
        }
        // Answered first, since a publisher need not wait for the fan-out.
        stream.try_write(OK)?;
        hub.publish(&buf[body..whole]);
        buf.drain(..whole);
    }
}

async fn websocket(stream: TcpStream, hub: &Hub, buf: Vec<u8>) -> io::Result<()> {
    let peer = Rc::new(Peer { stream, unsent: RefCell::default(), wake: Notify::new() });
    peer.send_frame(Opcode::Text, HELLO);
    let mut joined = Vec::new();
    let ended = tokio::select! {
        ended = incoming(&peer, hub, buf, &mut joined) => ended,
        ended = peer.flush() => ended,
    };
    let mut channels = hub.channels.borrow_mut();
    for channel in joined {
        if let Some(peers) = channels.get_mut(&channel) {
            peers.retain(|other| !Rc::ptr_eq(other, &peer));
        }
    }
    ended
}

/// Reads masked frames: joins channels, passes client events on, answers a close.
async fn incoming(
    peer: &Rc<Peer>,
    hub: &Hub,
    mut buf: Vec<u8>,
    joined: &mut Vec<Vec<u8>>,
) -> io::Result<()> {
    loop {
        while let Some((opcode, payload, used)) = unmask(&buf) {
            buf.drain(..used);
            if opcode == Opcode::Close {
                peer.send_frame(Opcode::Close, &payload);
                return Ok(());
            }
            let Some(channel) = string_after(&payload, b"\"channel\":\"") else { continue };
            let mut channels = hub.channels.borrow_mut();
            if memmem::find(&payload, b"pusher:subscribe").is_some() {
                let before =
                    br#"{"event":"pusher_internal:subscription_succeeded","channel":""#.as_slice();
                peer.send_frame(Opcode::Text, &[before, channel, br#"","data":"{}"}"#].concat());
                channels.entry(channel.to_vec()).or_default().push(peer.clone());
                joined.push(channel.to_vec());
            } else if memmem::find(&payload, b"\"client-").is_some() {
                let others = channels.get(channel).into_iter().flatten();
                let mut frame = Vec::new();
                push_frame(&mut frame, Opcode::Text, &payload);
                others
                    .filter(|other| !Rc::ptr_eq(other, peer))
                    .for_each(|other| other.send(&frame));
            }
        }
        fill(&peer.stream, &mut buf).await?;
    }
}

/// The frame at the start of `buf`, if it is whole: opcode, payload, length.
fn unmask(buf: &[u8]) -> Option<(Opcode, Vec<u8>, usize)> {
    let Ok(Parse::Done { value, consumed }) = Header::parse(buf) else { return None };
    let end = consumed.checked_add(usize::try_from(value.len).ok()?)?;
    let mut payload = buf.get(consumed..end)?.to_vec();
    Mask::new(value.mask?).apply(&mut payload);
    Some((value.opcode, payload, end))
}

fn upgrade_answer(key: &str) -> Vec<u8> {
    let proof = accept_key(key.as_bytes()).unwrap_or([b'-'; 28]);
    let proof = String::from_utf8_lossy(&proof);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n\r\n"
    )
    .into_bytes()
}

async fn serve(cli: Cli) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, cli.port).into())?;
    let listener: TcpListener = socket.listen(BACKLOG)?;
    eprintln!("rawfan, the ceiling, listens on {}", listener.local_addr()?);
    let hub = Rc::new(Hub {
        mode: cli.mode,
        channels: RefCell::default(),
        waiting: RefCell::default(),
        wake: Notify::new(),
    });
    let writer = hub.clone();
    tokio::task::spawn_local(async move { writer.write_what_waits().await });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let hub = hub.clone();
        tokio::task::spawn_local(async move {
            // A peer that goes away without ceremony is no news.
            let _ = connection(stream, hub).await;
        });
    }
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(Cli::parse()))
}
