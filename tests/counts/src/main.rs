//! Parses or encodes one text frame over and over with one WebSocket crate, for callgrind and for the clock.
//!
//! `tidings-counts LIBRARY WORK LENGTH ROUNDS` does the work so often and prints nothing: the difference of
//! two round counts under callgrind is the count of one round. `tidings-counts time` prints nanoseconds of
//! all of them.

mod libraries;
mod stream;

use std::hint::black_box;
use std::time::Instant;

use tidings_core::io::TxBuf;
use tidings_core::websocket::{Opcode, encode_frame};

/// What is done with a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A client reads what a server sent.
    ParseUnmasked,
    /// A server reads what a client sent.
    ParseMasked,
    /// A client writes.
    EncodeMasked,
    /// A payload alone is unmasked in place.
    Unmask,
}

/// Each work, its name and the lengths of text it is timed with.
const WORKS: [(&str, Work, &[usize]); 4] = [
    ("parse-unmasked", Work::ParseUnmasked, &[16, 128, 1024, 65_536]),
    ("parse-masked", Work::ParseMasked, &[16, 128, 1024, 65_536]),
    ("encode-masked", Work::EncodeMasked, &[16, 128, 1024, 65_536]),
    ("unmask", Work::Unmask, &[16_384]),
];

/// Runs `rounds` rounds of a library's work on the wire form of a frame (to parse) or on a payload (to encode).
type Run = fn(Work, &[u8], u64);

const LIBRARIES: [(&str, Run); 7] = [
    ("copy", libraries::copy),
    ("tidings", libraries::tidings),
    ("websocket-sans-io", libraries::websocket_sans_io),
    ("edge-ws", libraries::edge_ws),
    ("fastwebsockets", libraries::fastwebsockets),
    ("tungstenite", libraries::tungstenite),
    ("sockudo-ws", libraries::sockudo_ws),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["time"] => print_times(),
        [library, work, length, rounds] => {
            let (_, run) = LIBRARIES.iter().find(|(name, _)| *name == library).expect("a library");
            let (_, work, _) = *WORKS.iter().find(|(name, ..)| *name == work).expect("a work");
            let input = input(work, length.parse().expect("a length"));
            run(work, &input, rounds.parse().expect("a count of rounds"));
        }
        _ => {
            eprintln!("usage: tidings-counts LIBRARY WORK LENGTH ROUNDS | time");
            std::process::exit(2);
        }
    }
}

/// The text, as a frame when it is to be parsed.
fn input(work: Work, length: usize) -> Vec<u8> {
    let text: Vec<u8> = (b' '..=b'~').cycle().take(length).collect();
    let mask = match work {
        Work::EncodeMasked | Work::Unmask => return text,
        Work::ParseMasked => Some([0x37, 0xFA, 0x21, 0x3D]),
        Work::ParseUnmasked => None,
    };
    let mut memory = vec![0; length + 14];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, mask, Opcode::Text, true, &text).expect("there is room");
    tx.written().to_vec()
}

/// Prints `library work length nanoseconds`, the best of several tries.
fn print_times() {
    for (work_name, work, lengths) in WORKS {
        for &length in lengths {
            let rounds = 20_000_000 / (length as u64 + 200);
            let input = input(work, length);
            for (name, run) in LIBRARIES {
                if work == Work::Unmask && !libraries::UNMASKS.contains(&name) {
                    continue;
                }
                let time = || {
                    let start = Instant::now();
                    run(work, black_box(&input), rounds);
                    start.elapsed().as_nanos() as f64 / rounds as f64
                };
                let best = (0..7).map(|_| time()).fold(f64::INFINITY, f64::min);
                println!("{name} {work_name} {length} {best:.1}");
            }
        }
    }
}
