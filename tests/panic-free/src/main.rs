//! Every entry of the core, on input that the compiler knows nothing of.
//!
//! The panic handler calls a function that does not exist. If the optimiser leaves one way to reach it, the program does not
//! link, and the linker names what is in the way.
#![no_std]
#![no_main]

use core::hint::black_box;

use tidings_core::auth::{
    PresenceData, SignedRequest, SigningKey, UserData, sign_channel, verify_channel, verify_user,
    verify_webhook,
};
use tidings_core::channel::ChannelName;
use tidings_core::entropy::Entropy;
use tidings_core::io::{Parse, Progress, RxBuf, TxBuf};
use tidings_core::json::{self, Raw};
use tidings_core::limits::Limits;
use tidings_core::pusher::server::{ServerConfig, ServerConn};
use tidings_core::pusher::{
    self, ConnectTarget, ErrorCode, ServerMessage, SocketId, check_protocol,
};
use tidings_core::time::Instant;
use tidings_core::websocket::handshake::{
    ClientHandshake, HeadLimits, HeadScanner, RequestHead, ResponseHead, UpgradeRequest,
};
use tidings_core::websocket::{
    ClientRole, CloseCode, Connection, Decoder, Masking, MessageKind, Role, ServerRole,
};

// The C library has memcpy and its like, which the compiler calls.
#[link(name = "c")]
unsafe extern "C" {
    fn a_way_to_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it is never called, since the program would not have linked.
    unsafe { a_way_to_panic_is_left() }
}

/// The precompiled core library names it, though nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(black_box(0));
    }
}

fn connection<M: Masking>(role: M, input: &mut [u8], tx: &mut TxBuf<'_>) {
    let mut connection = Connection::new(role, Limits::new());
    loop {
        match connection.handle_input(input, tx) {
            Ok(step) => match step.progress {
                Progress::NeedInput { .. } | Progress::NeedOutput { .. } => break,
                progress => drop(black_box(progress)),
            },
            Err(error) => {
                let _ = black_box(connection.fail(error, tx));
                break;
            }
        }
    }
    let text = core::str::from_utf8(b"text").unwrap_or_default();
    let _ = black_box(connection.send_text(black_box(text), tx));
    let _ = black_box(connection.send_fragment(MessageKind::Binary, black_box(b"x"), false, tx));
    let _ = black_box(connection.ping(black_box(b"ping"), tx));
    let _ = black_box(connection.close(black_box(CloseCode::NORMAL), black_box(text), tx));
    let _ = black_box(connection.handle_eof());
}

fn websocket(input: &mut [u8], tx: &mut TxBuf<'_>) {
    connection(ServerRole, input, tx);
    connection(ClientRole(Zeros), input, tx);
    let mut pieces = Decoder::pieces(black_box(Role::Client), Limits::new());
    let _ = black_box(pieces.decode(input));
    let mut rx = RxBuf::new(input);
    rx.commit(black_box(9));
    rx.consume(black_box(3));
    tx.consume(black_box(3));
}

fn handshake(input: &[u8], tx: &mut TxBuf<'_>) {
    let limits = HeadLimits::new();
    if let Ok(Parse::Done { value: head, .. }) = HeadScanner::new().request(input, limits) {
        match UpgradeRequest::from_head(&head) {
            Ok(request) => drop(black_box(request.accept(request.protocols().next(), tx))),
            Err(refusal) => drop(black_box(refusal.write(tx))),
        }
    }
    let _ = black_box(RequestHead::parse(input, limits));
    let _ = black_box(ResponseHead::parse(input, limits));
    let client = ClientHandshake::new(black_box("host"), black_box(443), black_box("/"));
    if let Ok(awaiting) = client.start(black_box([0; 16]), tx) {
        let _ = black_box(awaiting.read_response(input, limits));
    }
}

fn texts(input: &mut [u8], tx: &mut TxBuf<'_>) {
    if let Ok(value) = Raw::parse(input, json::Limits::new()) {
        for (name, value) in value.members() {
            black_box((name.unescaped_len(), value.kind(), value.as_u64(), value.as_i64()));
        }
        for value in value.elements() {
            black_box(value);
        }
        let _ = black_box(json::compact_escape_into(tx, value));
    }
    let Ok(text) = core::str::from_utf8(input) else { return };
    let _ = black_box(json::escape_twice_into(tx, text));
    let _ = black_box(ChannelName::parse(text, 200));
    let _ = black_box(SocketId::parse(text));
    let _ = black_box(ConnectTarget::parse(text, text));
    let _ = black_box(check_protocol(Some(text)));
    let _ = black_box(pusher::encode_channel_event(tx, text, text, text, Some(text)));
    let members = [(text, None), (text, Some(text))];
    let _ = black_box(pusher::encode_presence_succeeded(tx, text, members.iter().copied()));
    let _ = black_box(pusher::encode_member_added(tx, text, text, Some(text)));
    let _ = black_box(json::unescape(input));
    let _ = black_box(ServerMessage::parse(input));
}

fn signatures(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let key = SigningKey::new(input);
    black_box(sign_channel(&key, text, text, Some(text)).matches(text));
    let _ = black_box(verify_channel(&key, text, text, text, Some(text), text));
    let _ = black_box(verify_user(&key, text, text, text, text));
    black_box(verify_webhook(&key, input, text));
    let request = SignedRequest { method: text, path: text, query: text, body: input };
    let _ = black_box(request.verify(&key, text, text, black_box(1), black_box(2)));
    let _ = black_box(request.sign(&key));
    let _ = black_box(PresenceData::parse(text));
    let _ = black_box(UserData::parse(text));
}

fn session(input: &mut [u8], tx: &mut TxBuf<'_>) {
    let (config, now) = (black_box(ServerConfig::new()), Instant::from_millis(black_box(1)));
    let mut conn = ServerConn::new(SocketId::new(black_box(1), black_box(2)), &config, now);
    let _ = black_box(conn.establish(&config, now, tx));
    match conn.handle_input(&config, now, input, tx) {
        Ok(step) => drop(black_box(step)),
        Err(error) => drop(black_box(conn.fail(error, tx))),
    }
    let _ = black_box(conn.handle_timeout(&config, now, tx));
    let code = ErrorCode::new(black_box(4100));
    let _ = black_box(conn.close(code, black_box("reason"), now, tx));
    let _ = black_box(conn.handle_eof());
}

/// What the C library's start-up calls.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let (mut input, mut output) = (black_box([0_u8; 4096]), [0_u8; 4096]);
    #[cfg(feature = "deliberate")]
    black_box(input[black_box(5000)]);
    let mut tx = TxBuf::new(&mut output);
    websocket(&mut input, &mut tx);
    handshake(&input, &mut tx);
    texts(&mut input, &mut tx);
    signatures(&input);
    session(&mut input, &mut tx);
    black_box(tx.written());
    0
}
