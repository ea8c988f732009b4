//! An echo over the core and tokio, at either end of a WebSocket: the peer that the conformance suite talks to.
//!
//! It keeps little room for output on purpose: a message that does not fit goes back in fragments.

use std::io;
use std::time::Duration;

use tidings_core::entropy::Entropy;
use tidings_core::io::{Parse, Progress, Step, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::handshake::{
    ClientHandshake, HeadLimits, RequestHead, UpgradeRequest,
};
use tidings_core::websocket::{
    ClientRole, Connection, Event, MIN_TX, Masking, MessageKind, Role, ServerRole,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest message of the suite's limits tests.
const MAX_MESSAGE: u32 = 16 * 1024 * 1024;

/// The room for output.
const TX_LEN: usize = 64 * 1024;

/// The room that a fragment's header takes at most.
const MAX_HEADER: usize = 14;

/// How long the other end may take to end the transport.
const LINGER: Duration = Duration::from_secs(2);

/// The system's source of randomness.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system has randomness");
    }
}

/// Accepts the WebSocket that a client asks for and echoes until it ends.
///
/// # Errors
/// When the transport fails or what the client asks for is no WebSocket.
pub async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    let mut input = Vec::new();
    let consumed = loop {
        read_more(&mut stream, &mut input).await?;
        if let Parse::Done { value: head, consumed } =
            RequestHead::parse(&input, HeadLimits::new()).map_err(io::Error::other)?
        {
            match UpgradeRequest::from_head(&head) {
                Ok(request) => request.accept(None, &mut tx).map_err(io::Error::other)?,
                Err(refusal) => {
                    refusal.write(&mut tx).map_err(io::Error::other)?;
                    return stream.write_all(tx.written()).await;
                }
            }
            break consumed;
        }
    };
    stream.write_all(tx.written()).await?;
    input.drain(..consumed);
    echo(stream, Connection::new(ServerRole, Limits::new().max_message(MAX_MESSAGE)), input).await
}

/// Opens a WebSocket to `target` at `host` and `port` and echoes until it ends.
///
/// # Errors
/// When the transport fails or the server opens no WebSocket.
pub async fn connect(host: &str, port: u16, target: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    let awaiting = ClientHandshake::new(host, port, target)
        .start_with(&mut SystemEntropy, &mut tx)
        .map_err(io::Error::other)?;
    stream.write_all(tx.written()).await?;
    let mut input = Vec::new();
    let consumed = loop {
        read_more(&mut stream, &mut input).await?;
        let answer = awaiting.read_response(&input, HeadLimits::new()).map_err(io::Error::other)?;
        if let Parse::Done { consumed, .. } = answer {
            break consumed;
        }
    };
    input.drain(..consumed);
    let role = ClientRole(SystemEntropy);
    echo(stream, Connection::new(role, Limits::new().max_message(MAX_MESSAGE)), input).await
}

async fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Sends every message back until the connection ends; `input` is what came with the handshake.
async fn echo<M: Masking>(
    mut stream: TcpStream,
    mut connection: Connection<M>,
    mut input: Vec<u8>,
) -> io::Result<()> {
    let mut memory = vec![0; TX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    let mut start = 0;
    loop {
        let step = connection.handle_input(&mut input[start..], &mut tx);
        let Step { consumed, progress } = match step {
            Ok(step) => step,
            Err(error) => {
                connection.fail(error, &mut tx).map_err(io::Error::other)?;
                return end::<M>(stream, &mut tx).await;
            }
        };
        match progress {
            Progress::Event(Event::Message { kind, payload }) => {
                send_back(&mut stream, &mut connection, kind, payload, &mut tx).await?;
            }
            Progress::Event(Event::Closed { .. }) => return end::<M>(stream, &mut tx).await,
            Progress::Event(_) | Progress::Advanced => {}
            Progress::NeedOutput { .. } => flush(&mut stream, &mut tx).await?,
            Progress::NeedInput { .. } => {
                flush(&mut stream, &mut tx).await?;
                input.drain(..start);
                start = 0;
                if stream.read_buf(&mut input).await? == 0 {
                    return connection.handle_eof().map_err(io::Error::other);
                }
            }
        }
        start += consumed;
    }
}

/// Sends a message as one frame if it fits, else in fragments as large as the output has room for.
async fn send_back<M: Masking>(
    stream: &mut TcpStream,
    connection: &mut Connection<M>,
    kind: MessageKind,
    payload: &[u8],
    tx: &mut TxBuf<'_>,
) -> io::Result<()> {
    if tx.remaining() < payload.len() + MAX_HEADER + MIN_TX {
        flush(stream, tx).await?;
    }
    let mut parts = payload.chunks(TX_LEN - MAX_HEADER).peekable();
    loop {
        let part = parts.next().unwrap_or_default();
        let last = parts.peek().is_none();
        connection.send_fragment(kind, part, last, tx).map_err(io::Error::other)?;
        if last {
            return Ok(());
        }
        flush(stream, tx).await?;
    }
}

async fn flush(stream: &mut TcpStream, tx: &mut TxBuf<'_>) -> io::Result<()> {
    stream.write_all(tx.written()).await?;
    tx.clear();
    Ok(())
}

/// Ends the transport behind a close frame: a server at once, a client after the server (RFC 6455 section
/// 7.1.1). What still comes is read, as unread input would make the system reset the connection and with it
/// the close frame.
async fn end<M: Masking>(mut stream: TcpStream, tx: &mut TxBuf<'_>) -> io::Result<()> {
    flush(&mut stream, tx).await?;
    if M::ROLE == Role::Server {
        stream.shutdown().await?;
    }
    let mut rest = [0; 512];
    // However it ends now, a reset included, the closing handshake is done.
    let drained = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
    let _ = timeout(LINGER, drained).await;
    Ok(())
}
