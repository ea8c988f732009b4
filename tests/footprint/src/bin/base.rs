//! The surroundings alone: what all other figures are above of.
#![no_std]
#![no_main]

use tidings_footprint::{Wire, run};

#[cortex_m_rt::entry]
fn main() -> ! {
    run(program)
}

fn program(wire: &Wire) {
    static BUFFER: [u8; 4] = [0; 4];
    let mut input = BUFFER;
    while wire.recv(&mut input) > 0 {
        wire.event(&input);
        wire.send(&input);
    }
}
