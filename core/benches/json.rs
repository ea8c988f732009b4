//! Reading and writing JSON: `cargo bench -p tidings-core --bench json`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use tidings_core::io::TxBuf;
use tidings_core::json::{Limits, Raw, escape_into, escaped_len, unescape};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    read(&mut criterion);
    escape(&mut criterion);
    criterion.final_summary();
}

/// A channel event whose data is JSON text in a string, of about this length.
fn event(length: usize) -> String {
    let item = r#"{\"id\":1,\"price\":12.5}"#;
    let items = vec![item; length / item.len() + 1].join(",");
    format!(r#"{{"event":"prices-updated","channel":"private-prices","data":"[{items}]"}}"#)
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read an event of");
    for length in [16, 1024, 8192] {
        let text = event(length);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
            bencher.iter(|| {
                let value = Raw::parse(black_box(text.as_bytes()), Limits::new()).expect("JSON");
                let mut seen = 0;
                for (name, value) in value.members() {
                    if name.unescaped_eq("event") || name.unescaped_eq("data") {
                        seen += value.text().len();
                    }
                }
                seen
            });
        });
    }
}

fn escape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("escape");
    let plain = "a".repeat(1024);
    let quoted = r#"{"id":1,"price":12.5}"#.repeat(48);
    let mut memory = vec![0; 8192];
    let mut tx = TxBuf::new(&mut memory);
    for (name, text) in [("plain text", &plain), ("JSON text", &quoted)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("into the output", name), |bencher| {
            bencher.iter(|| {
                tx.clear();
                escape_into(&mut tx, black_box(text))
            });
        });
        group.bench_function(BenchmarkId::new("length", name), |bencher| {
            bencher.iter(|| escaped_len(black_box(text)));
        });
        tx.clear();
        escape_into(&mut tx, text).expect("there is room");
        let escaped = tx.written().to_vec();
        group.bench_function(BenchmarkId::new("in place and back", name), |bencher| {
            bencher.iter(|| {
                let mut text = black_box(&escaped).clone();
                unescape(&mut text).expect("escaped text").len()
            });
        });
    }
}
