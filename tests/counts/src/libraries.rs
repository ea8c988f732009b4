//! One function for each crate, all with the same duties: to parse, copy the frame into a buffer (as a read
//! from a socket does), parse it, unmask it, and have its text checked as UTF-8; to encode, bring header,
//! masking key and masked payload into a buffer.
//!
//! Crates that read from a stream do so from one in memory. Keys come from each crate's own source where it
//! has one, else from a counter.

use std::hint::black_box;

use bytes::BytesMut;
use tidings_core::entropy::Entropy;
use tidings_core::io::{Progress, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::{
    ClientRole, Connection, Event, Mask, Masking, MessageKind, ServerRole,
};

use crate::Work;
use crate::stream::{Again, now};

/// The largest message in every crate that asks.
const MAX_MESSAGE: usize = 1 << 20;

/// The libraries whose unmasking can be called alone.
pub const UNMASKS: [&str; 5] =
    ["tidings", "websocket-sans-io", "edge-ws", "fastwebsockets", "sockudo-ws"];

/// A key that is no repetition of one byte.
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Unmasks one payload again and again.
fn unmask_only(input: &[u8], rounds: u64, unmask: impl Fn(&mut [u8], [u8; 4])) {
    let mut payload = input.to_vec();
    for _ in 0..rounds {
        unmask(black_box(&mut payload), black_box(KEY));
    }
    black_box(&payload);
}

/// Takes bytes as used, by pointer and length in registers: as one value they would go through memory.
#[inline(always)]
fn used(bytes: &[u8]) {
    black_box(bytes.as_ptr());
    black_box(bytes.len());
}

/// Masking keys at no cost.
struct Counter(u32);

impl Counter {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x9E37_79B1).wrapping_add(1);
        self.0
    }
}

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(4) {
            let key = self.next().to_ne_bytes();
            chunk.copy_from_slice(&key[..chunk.len()]);
        }
    }
}

/// The copy that each of the others does as well.
pub fn copy(_: Work, input: &[u8], rounds: u64) {
    let mut buffer = vec![0; input.len() + 64];
    for _ in 0..rounds {
        black_box(&mut buffer)[..input.len()].copy_from_slice(black_box(input));
        black_box(&buffer);
    }
}

pub fn tidings(work: Work, input: &[u8], rounds: u64) {
    let limits = Limits::new().max_message(MAX_MESSAGE as u32);
    match work {
        Work::ParseUnmasked => {
            let role = ClientRole(Counter(1));
            tidings_parse(Connection::new(role, limits), input, rounds);
        }
        Work::ParseMasked => tidings_parse(Connection::new(ServerRole, limits), input, rounds),
        Work::EncodeMasked => {
            let mut connection = Connection::new(ClientRole(Counter(1)), limits);
            let mut memory = vec![0; input.len() + 64];
            let mut tx = TxBuf::new(&mut memory);
            for _ in 0..rounds {
                tx.clear();
                let text = black_box(input);
                connection.send(MessageKind::Text, text, &mut tx).expect("there is room");
                used(tx.written());
            }
        }
        Work::Unmask => unmask_only(input, rounds, |payload, key| Mask::new(key).apply(payload)),
    }
}

fn tidings_parse<M: Masking>(mut connection: Connection<M>, input: &[u8], rounds: u64) {
    let mut buffer = vec![0; input.len() + 64];
    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    for _ in 0..rounds {
        let buffer = &mut black_box(&mut buffer)[..input.len()];
        buffer.copy_from_slice(black_box(input));
        let step = connection.handle_input(buffer, &mut tx).expect("a sound frame");
        assert_eq!(step.consumed, input.len());
        match step.progress {
            Progress::Event(Event::Message { payload, .. }) => used(payload),
            other => unreachable!("{other:?}"),
        }
    }
}

pub fn websocket_sans_io(work: Work, input: &[u8], rounds: u64) {
    use websocket_sans_io::{
        FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent,
        apply_mask,
    };
    if work == Work::Unmask {
        return unmask_only(input, rounds, |payload, key| apply_mask(key, payload, 0));
    }
    let mut buffer = vec![0; input.len() + 64];
    if work == Work::EncodeMasked {
        let mut encoder = WebsocketFrameEncoder::new();
        let mut keys = Counter(1);
        for _ in 0..rounds {
            let buffer = black_box(&mut buffer);
            let payload = black_box(input);
            let header = encoder.start_frame(&FrameInfo {
                opcode: Opcode::Text,
                payload_length: payload.len() as u64,
                mask: Some(keys.next().to_ne_bytes()),
                fin: true,
                reserved: 0,
            });
            let end = header.len() + payload.len();
            buffer[..header.len()].copy_from_slice(&header);
            buffer[header.len()..end].copy_from_slice(payload);
            encoder.transform_frame_payload(&mut buffer[header.len()..end]);
            used(&buffer[..end]);
        }
        return;
    }
    let mut decoder = WebsocketFrameDecoder::new();
    for _ in 0..rounds {
        let buffer = &mut black_box(&mut buffer)[..input.len()];
        buffer.copy_from_slice(black_box(input));
        let mut at = 0;
        loop {
            let part = decoder.add_data(&mut buffer[at..]).expect("a sound frame");
            let start = at;
            at += part.consumed_bytes;
            match part.event {
                Some(WebsocketFrameEvent::PayloadChunk { .. }) => {
                    used(std::str::from_utf8(&buffer[start..at]).expect("text").as_bytes());
                }
                Some(WebsocketFrameEvent::End { .. }) => break,
                _ => {}
            }
        }
    }
}

pub fn edge_ws(work: Work, input: &[u8], rounds: u64) {
    use edge_ws::{FrameHeader, FrameType};
    if work == Work::Unmask {
        return unmask_only(input, rounds, |payload, key| {
            FrameHeader::mask_with(payload, Some(u32::from_be_bytes(key)), 0);
        });
    }
    let mut buffer = vec![0; input.len() + 64];
    let mut keys = Counter(1);
    for _ in 0..rounds {
        let buffer = black_box(&mut buffer);
        let input = black_box(input);
        if work == Work::EncodeMasked {
            let header = FrameHeader {
                frame_type: FrameType::Text(false),
                payload_len: input.len() as u64,
                mask_key: Some(keys.next()),
            };
            let head = header.serialize(buffer).expect("there is room");
            let end = head + input.len();
            buffer[head..end].copy_from_slice(input);
            header.mask(&mut buffer[head..end], 0);
            used(&buffer[..end]);
        } else {
            buffer[..input.len()].copy_from_slice(input);
            let (header, head) = FrameHeader::deserialize(buffer).expect("a sound frame");
            let payload = &mut buffer[head..head + header.payload_len as usize];
            header.mask(payload, 0);
            used(std::str::from_utf8(payload).expect("text").as_bytes());
        }
    }
}

pub fn fastwebsockets(work: Work, input: &[u8], rounds: u64) {
    use fastwebsockets::{Frame, Payload, Role, WebSocket, unmask};
    if work == Work::Unmask {
        return unmask_only(input, rounds, unmask);
    }
    let role = if work == Work::ParseMasked { Role::Server } else { Role::Client };
    let mut socket = WebSocket::after_handshake(Again::new(input), role);
    socket.set_max_message_size(MAX_MESSAGE);
    now(async {
        for _ in 0..rounds {
            if work == Work::EncodeMasked {
                let frame = Frame::text(Payload::Borrowed(black_box(input)));
                socket.write_frame(frame).await.expect("the stream takes all");
            } else {
                let frame = socket.read_frame().await.expect("a sound frame");
                assert!(frame.is_utf8());
                used(&frame.payload);
            }
        }
    });
}

pub fn tungstenite(work: Work, input: &[u8], rounds: u64) {
    use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
    use tungstenite::{Message, Utf8Bytes};
    let role = if work == Work::ParseMasked { Role::Server } else { Role::Client };
    // One read a frame, as the others do; its default would zero 128 KiB before each.
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .read_buffer_size(input.len() + 64);
    let mut socket = WebSocket::from_raw_socket(Again::new(input), role, Some(config));
    let text = match work {
        Work::EncodeMasked => Utf8Bytes::from(std::str::from_utf8(input).expect("text")),
        _ => Utf8Bytes::default(),
    };
    for _ in 0..rounds {
        if work == Work::EncodeMasked {
            let message = Message::Text(black_box(&text).clone());
            socket.send(message).expect("the stream takes all");
        } else {
            let message = socket.read().expect("a sound frame");
            used(message.to_text().expect("text").as_bytes());
        }
    }
}

pub fn sockudo_ws(work: Work, input: &[u8], rounds: u64) {
    use sockudo_ws::mask::apply_mask;
    use sockudo_ws::protocol::{Message, Protocol, Role};
    if work == Work::Unmask {
        return unmask_only(input, rounds, |payload, key| apply_mask(payload, key));
    }
    let role = if work == Work::ParseMasked { Role::Server } else { Role::Client };
    let mut protocol = Protocol::new(role, MAX_MESSAGE, MAX_MESSAGE);
    let mut buffer = BytesMut::with_capacity(input.len() + 64);
    let mut messages = Vec::new();
    let message = Message::Text(bytes::Bytes::copy_from_slice(input));
    for _ in 0..rounds {
        if work == Work::EncodeMasked {
            buffer.clear();
            protocol.encode_message(black_box(&message), &mut buffer).expect("there is room");
            used(&buffer);
        } else {
            buffer.extend_from_slice(black_box(input));
            protocol.process_into(&mut buffer, &mut messages).expect("a sound frame");
            assert_eq!(messages.len(), 1);
            used(messages[0].as_text().expect("text").as_bytes());
        }
    }
}
