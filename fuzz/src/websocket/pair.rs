//! A client and a server that talk to each other.

use std::collections::VecDeque;

use tidings_core::io::{Progress, Step, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::{
    ClientRole, CloseCode, Connection, Masking, MessageKind, ServerRole, State,
};

use super::Counter;
use super::hostile::see;
use super::model::Seen;

/// Reads the input as a list of operations, performed on a client and a server with pipes between them.
///
/// An operation is an octet: the lower three bits say what, the next says which end, the upper four how much.
///
/// Invariant: each end reports exactly what the other sent, in its order, save what arrives after it has itself begun to
/// close; a call is refused only when the state says so; and once all is delivered, a close is known at both ends.
pub fn websocket_pair(data: &[u8]) {
    let mut client = End::new(ClientRole(Counter(1)));
    let mut server = End::new(ServerRole);
    for &op in data {
        if op & 8 == 0 {
            client.perform(op, &mut server);
        } else {
            server.perform(op, &mut client);
        }
    }
    // A pong that answers a ping may itself be under way, so both directions are emptied more than once.
    for _ in 0..3 {
        client.deliver(usize::MAX, &mut server);
        server.deliver(usize::MAX, &mut client);
    }
    client.check_against(&server);
    server.check_against(&client);
    let closed = client.closed || server.closed;
    for state in [client.connection.state(), server.connection.state()] {
        assert_eq!(closed, matches!(state, State::Closed | State::RemoteClosing), "{state:?}");
    }
}

/// One end, the pipe away from it, and what is known of both.
struct End<M> {
    connection: Connection<M>,
    pipe: VecDeque<u8>,
    /// Bytes that arrived here and are not yet consumed.
    buffer: Vec<u8>,
    sent: Vec<Seen>,
    received: Vec<Seen>,
    fragments: Option<(MessageKind, Vec<u8>)>,
    /// Whether this end began to close.
    closed: bool,
}

impl<M: Masking> End<M> {
    fn new(role: M) -> Self {
        Self {
            connection: Connection::new(role, Limits::new()),
            pipe: VecDeque::new(),
            buffer: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            fragments: None,
            closed: false,
        }
    }

    fn perform<P: Masking>(&mut self, op: u8, peer: &mut End<P>) {
        let amount = usize::from(op >> 4);
        // Text, and long enough for each form of a length.
        let payload = vec![b'a' + (op >> 4); amount * amount];
        match op & 7 {
            0 => self.send(MessageKind::Text, &payload),
            1 => self.send(MessageKind::Binary, &payload),
            2 => self.send_fragment(MessageKind::Text, &payload, false),
            3 => self.send_fragment(MessageKind::Text, &payload, true),
            4 => self.ping(&payload),
            5 => self.close(1000 + u16::from(op >> 4), &payload),
            6 => self.deliver(amount, peer),
            _ => self.deliver(usize::MAX, peer),
        }
    }

    fn is_open(&self) -> bool {
        self.connection.state() == State::Open
    }

    /// Makes a call that writes; puts what it wrote on the pipe and tells whether it was accepted.
    fn call<E>(
        &mut self,
        call: impl FnOnce(&mut Connection<M>, &mut TxBuf<'_>) -> Result<(), E>,
    ) -> bool {
        let mut memory = [0; 1024];
        let mut tx = TxBuf::new(&mut memory);
        let accepted = call(&mut self.connection, &mut tx).is_ok();
        assert_eq!(accepted, !tx.is_empty(), "a refused call writes nothing");
        self.pipe.extend(tx.written());
        accepted
    }

    fn send(&mut self, kind: MessageKind, payload: &[u8]) {
        let legal = self.is_open() && self.fragments.is_none();
        assert_eq!(self.call(|connection, tx| connection.send(kind, payload, tx)), legal);
        if legal {
            self.sent.push(Seen::Message(kind, payload.to_vec()));
        }
    }

    fn send_fragment(&mut self, kind: MessageKind, payload: &[u8], fin: bool) {
        let legal = self.is_open();
        assert_eq!(
            self.call(|connection, tx| connection.send_fragment(kind, payload, fin, tx)),
            legal
        );
        if !legal {
            return;
        }
        let (_, whole) = self.fragments.get_or_insert((kind, Vec::new()));
        whole.extend_from_slice(payload);
        if fin {
            self.sent.extend(self.fragments.take().map(|(kind, whole)| Seen::Message(kind, whole)));
        }
    }

    fn ping(&mut self, payload: &[u8]) {
        let legal = self.is_open() && payload.len() <= 125;
        assert_eq!(self.call(|connection, tx| connection.ping(payload, tx)), legal);
        if legal {
            self.sent.push(Seen::Ping(payload.to_vec()));
        }
    }

    fn close(&mut self, code: u16, reason: &[u8]) {
        let sendable = matches!(code, 1000..=1003 | 1007..=1014);
        let legal = self.is_open() && sendable && reason.len() <= 123;
        let reason = str::from_utf8(reason).expect("ASCII");
        assert_eq!(
            self.call(|connection, tx| connection.close(CloseCode::new(code), reason, tx)),
            legal
        );
        if legal {
            self.closed = true;
            self.sent.push(Seen::Close(Some(code), reason.to_owned()));
        }
    }

    /// Moves at most `amount` bytes over the pipe and lets the peer step through what it has.
    fn deliver<P: Masking>(&mut self, amount: usize, peer: &mut End<P>) {
        let amount = amount.min(self.pipe.len());
        peer.buffer.extend(self.pipe.drain(..amount));
        peer.receive();
    }

    fn receive(&mut self) {
        let mut memory = [0; 1024];
        loop {
            let mut tx = TxBuf::new(&mut memory);
            let step = self.connection.handle_input(&mut self.buffer, &mut tx);
            let Step { consumed, progress } = step.expect("no fault in what the peer sends");
            let starved = matches!(progress, Progress::NeedInput { .. });
            let event = match progress {
                Progress::Event(event) => Some(see(event)),
                _ => None,
            };
            // While this end closes it answers nothing; else a ping and a close are answered at once.
            let answer = match &event {
                Some(Seen::Ping(payload)) => Some(Seen::Pong(payload.clone())),
                Some(Seen::Close(code, _)) if !self.closed => {
                    Some(Seen::Close(*code, String::new()))
                }
                _ => None,
            };
            assert_eq!(answer.is_some(), !tx.is_empty());
            self.sent.extend(answer);
            self.received.extend(event);
            self.pipe.extend(tx.written());
            self.buffer.drain(..consumed);
            if starved {
                return;
            }
        }
    }

    /// Compares what arrived here with what the peer sent.
    fn check_against<P>(&self, peer: &End<P>) {
        if self.closed {
            // What came after our close was thrown away, save the peer's close frame.
            let before = self.received.len()
                - usize::from(matches!(self.received.last(), Some(Seen::Close(..))));
            assert_eq!(self.received[..before], peer.sent[..before]);
            assert_eq!(self.received.last(), peer.sent.last());
        } else {
            assert_eq!(self.received, peer.sent);
        }
    }
}
