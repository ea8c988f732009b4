//! Headers, masking, decoding and encoding of frames: `cargo bench -p tidings-core --bench websocket`.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use tidings_core::io::{Progress, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::{
    Connection, Decoder, Event, Frame, Header, Mask, MessageKind, Opcode, Role, ServerRole,
    encode_frame, write_frame,
};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const LENGTHS: [usize; 4] = [16, 128, 1024, 65_536];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    header(&mut criterion);
    mask(&mut criterion);
    decode(&mut criterion);
    utf8(&mut criterion);
    fragments(&mut criterion);
    encode(&mut criterion);
    criterion.final_summary();
}

/// One frame, masked when there is a key.
fn frame(mask: Option<[u8; 4]>, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, mask, opcode, fin, payload).expect("there is room");
    tx.written().to_vec()
}

fn ascii(length: usize) -> Vec<u8> {
    (b' '..=b'~').cycle().take(length).collect()
}

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    for len in [100, 1000, 100_000] {
        let header = Header::text(len).masked(KEY);
        let mut memory = [0; Header::MAX_LEN];
        let mut tx = TxBuf::new(&mut memory);
        header.encode(&mut tx).expect("there is room");
        let bytes = tx.written().to_vec();
        group.bench_function(BenchmarkId::new("parse", len), |bencher| {
            bencher.iter(|| Header::parse(black_box(&bytes)));
        });
        group.bench_function(BenchmarkId::new("encode", len), |bencher| {
            bencher.iter(|| {
                tx.clear();
                black_box(&header).encode(&mut tx)
            });
        });
    }
}

fn mask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for length in [16, 128, 1024, 16_384] {
        let mut payload = ascii(length);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
            bencher.iter(|| Mask::new(black_box(KEY)).apply(black_box(&mut payload)));
        });
    }
}

fn decode(criterion: &mut Criterion) {
    for (name, mask) in [("decode unmasked", None), ("decode masked", Some(KEY))] {
        let mut group = criterion.benchmark_group(name);
        let role = if mask.is_some() { Role::Server } else { Role::Client };
        for length in LENGTHS {
            let wire = frame(mask, Opcode::Text, true, &ascii(length));
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
                let mut decoder = Decoder::new(role, Limits::new());
                bencher.iter_batched_ref(
                    || wire.clone(),
                    |input| decoder.decode(input).expect("a sound frame").consumed,
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

/// Text that is not ASCII takes the slower way.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode masked, 1024 bytes of");
    for (name, unit) in
        [("ASCII", "a"), ("one accent in 32", "\u{e9}"), ("Greek", "\u{3bb}\u{3cc}\u{3b3}")]
    {
        let text = match name {
            "one accent in 32" => format!("{}{unit}", "e".repeat(30)).repeat(32),
            _ => unit.repeat(1024 / unit.len()),
        };
        let wire = frame(Some(KEY), Opcode::Text, true, text.as_bytes());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            let mut decoder = Decoder::new(Role::Server, Limits::new());
            bencher.iter_batched_ref(
                || wire.clone(),
                |input| decoder.decode(input).expect("a sound frame").consumed,
                BatchSize::SmallInput,
            );
        });
    }
}

/// A message of 64 KiB in fragments, as one input and as reads of 1,460 bytes.
fn fragments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join 65536 bytes in fragments of");
    group.throughput(Throughput::Bytes(65_536));
    for part in [64, 1024, 16_384] {
        let payload = ascii(65_536);
        let count = payload.chunks(part).count();
        let mut wire = Vec::new();
        for (i, part) in payload.chunks(part).enumerate() {
            let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
            wire.extend(frame(Some(KEY), opcode, i + 1 == count, part));
        }
        for read in [wire.len(), 1460] {
            let name = if read == wire.len() { "at once" } else { "in reads of 1460" };
            group.bench_function(BenchmarkId::new(name, part), |bencher| {
                bencher.iter_batched_ref(
                    || wire.clone(),
                    |input| join(input, read),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

/// Decodes one message that arrives in reads of this length; returns its size.
fn join(wire: &mut [u8], read: usize) -> usize {
    let mut decoder = Decoder::new(Role::Server, Limits::new());
    let (mut start, mut end) = (0, read.min(wire.len()));
    loop {
        let step = decoder.decode(&mut wire[start..end]).expect("sound frames");
        start += step.consumed;
        match step.progress {
            Progress::Event(Frame::Data(piece)) => return piece.payload.len(),
            Progress::NeedInput { .. } => end = (end + read).min(wire.len()),
            _ => {}
        }
    }
}

fn encode(criterion: &mut Criterion) {
    let mut memory = vec![0; 70_000];
    let mut tx = TxBuf::new(&mut memory);
    for (name, mask) in [("encode unmasked", None), ("encode masked", Some(KEY))] {
        let mut group = criterion.benchmark_group(name);
        for length in LENGTHS {
            let payload = ascii(length);
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::new("known", length), |bencher| {
                bencher.iter(|| {
                    tx.clear();
                    encode_frame(&mut tx, black_box(mask), Opcode::Text, true, black_box(&payload))
                });
            });
            group.bench_function(BenchmarkId::new("written in place", length), |bencher| {
                bencher.iter(|| {
                    tx.clear();
                    write_frame(&mut tx, black_box(mask), MessageKind::Text, |body| {
                        body.put(black_box(&payload))
                    })
                });
            });
        }
    }

    let ping = frame(Some(KEY), Opcode::Ping, true, b"are you there?");
    criterion.bench_function("ping answered", |bencher| {
        let mut connection = Connection::new(ServerRole, Limits::new());
        bencher.iter_batched_ref(
            || ping.clone(),
            |input| {
                tx.clear();
                let step = connection.handle_input(input, &mut tx).expect("a sound frame");
                assert!(matches!(step.progress, Progress::Event(Event::Ping(_))));
            },
            BatchSize::SmallInput,
        );
    });
}
