//! What the conformance suite counts but does not compare: the octets of large messages, in frames and in
//! fragments, over a real socket, with a client that has an output buffer of 4 KiB.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use tidings_core::io::{Parse, Progress, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::handshake::{ClientHandshake, HeadLimits};
use tidings_core::websocket::{
    ClientRole, CloseCode, Connection, Event, MIN_TX, MessageKind, State,
};
use tidings_tests::echo::{self, SystemEntropy};

/// A client whose WebSocket is open.
struct Client {
    stream: TcpStream,
    connection: Connection<ClientRole<SystemEntropy>>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// Starts an echo server and connects to it.
    fn connect() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let stream = tokio::net::TcpStream::from_std(stream).unwrap();
                echo::serve(stream).await.unwrap();
            });
        });

        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut output = vec![0; 4096];
        let mut tx = TxBuf::new(&mut output);
        let handshake = ClientHandshake::new("127.0.0.1", port, "/");
        let awaiting = handshake.start_with(&mut SystemEntropy, &mut tx).unwrap();
        stream.write_all(tx.written()).unwrap();
        let mut input = Vec::new();
        let head = loop {
            read_more(&mut stream, &mut input);
            let answer = awaiting.read_response(&input, HeadLimits::new()).unwrap();
            if let Parse::Done { consumed, .. } = answer {
                break consumed;
            }
        };
        input.drain(..head);
        let limits = Limits::new().max_message(16 * 1024 * 1024);
        let connection = Connection::new(ClientRole(SystemEntropy), limits);
        Self { stream, connection, input, output }
    }

    /// Sends a message in fragments of `part` bytes, with a ping in the middle.
    fn send(&mut self, kind: MessageKind, payload: &[u8], part: usize) {
        let mut tx = TxBuf::new(&mut self.output);
        let count = payload.chunks(part).count();
        for (i, part) in payload.chunks(part).enumerate() {
            self.connection.send_fragment(kind, part, i + 1 == count, &mut tx).unwrap();
            if i == count / 2 {
                self.connection.ping(b"still there?", &mut tx).unwrap();
            }
            self.stream.write_all(tx.written()).unwrap();
            tx.clear();
        }
    }

    /// Steps until a message is there; pongs are counted.
    fn receive(&mut self) -> (MessageKind, Vec<u8>, usize) {
        let (mut at, mut pongs) = (0, 0);
        loop {
            let mut memory = [0; MIN_TX];
            let mut tx = TxBuf::new(&mut memory);
            let step = self.connection.handle_input(&mut self.input[at..], &mut tx).unwrap();
            let consumed = step.consumed;
            let message = match step.progress {
                Progress::Event(Event::Message { kind, payload }) => Some((kind, payload.to_vec())),
                Progress::Event(Event::Pong(payload)) => {
                    assert_eq!(payload, b"still there?");
                    pongs += 1;
                    None
                }
                Progress::NeedInput { .. } => {
                    self.input.drain(..at);
                    at = 0;
                    read_more(&mut self.stream, &mut self.input);
                    continue;
                }
                other => {
                    assert_eq!(other, Progress::Advanced);
                    None
                }
            };
            at += consumed;
            if let Some((kind, payload)) = message {
                self.input.drain(..at);
                return (kind, payload, pongs);
            }
        }
    }
}

fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).unwrap();
    assert!(n > 0, "the server ended the connection");
    input.extend_from_slice(&buffer[..n]);
}

#[test]
fn a_large_message_comes_back_octet_for_octet() {
    let mut client = Client::connect();
    let binary: Vec<u8> = (0..=250_u8).cycle().take(1024 * 1024).collect();
    let text = "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5} ".repeat(20_000).into_bytes();
    for (kind, payload) in [(MessageKind::Binary, binary), (MessageKind::Text, text)] {
        for part in [997, 4000] {
            client.send(kind, &payload, part);
            let (kind_back, payload_back, _) = client.receive();
            assert_eq!(kind_back, kind);
            assert!(payload_back == payload, "in fragments of {part}");
        }
    }
}

#[test]
fn a_ping_between_fragments_is_answered_before_the_message() {
    let mut client = Client::connect();
    client.send(MessageKind::Text, &[b'a'; 100], 10);
    assert_eq!(client.receive(), (MessageKind::Text, vec![b'a'; 100], 1));
}

#[test]
fn fr_032_a_close_that_we_begin_is_answered_and_the_server_ends_the_transport() {
    let mut client = Client::connect();
    let mut tx = TxBuf::new(&mut client.output);
    client.connection.close(CloseCode::SERVICE_RESTART, "moving", &mut tx).unwrap();
    client.stream.write_all(tx.written()).unwrap();
    tx.clear();
    client.stream.read_to_end(&mut client.input).unwrap();

    let step = client.connection.handle_input(&mut client.input, &mut tx).unwrap();
    let code = Some(CloseCode::SERVICE_RESTART);
    assert_eq!(step.progress, Progress::Event(Event::Closed { code, reason: "" }));
    assert_eq!(client.connection.state(), State::Closed);
    assert_eq!(client.connection.handle_eof(), Ok(()));
}
