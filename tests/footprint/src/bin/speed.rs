//! How many instructions it takes to parse a text frame of 128 bytes with its UTF-8, and to encode one with a fresh mask.
//! QEMU runs with `-icount shift=0`: an instruction takes a nanosecond, and a tick of the 25 MHz timer 40.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use tidings_core::io::TxBuf;
use tidings_core::limits::Limits;
use tidings_core::websocket::{ClientRole, Connection};
use tidings_footprint::{Keys, exit, report};

const ROUNDS: u32 = 1000;
const INSTRUCTIONS_A_TICK: u32 = 40;

static mut FRAME: [u8; 132] = [b't'; 132];
static mut TX: [u8; 256] = [0; 256];

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: this function runs once, on the only thread.
    let (frame, tx) = unsafe { (&mut *(&raw mut FRAME), &mut *(&raw mut TX)) };
    let [first, second, third, fourth, ..] = frame;
    (*first, *second, *third, *fourth) = (0x81, 126, 0, 128);
    let Some(mut peripherals) = Peripherals::take() else { exit() };
    peripherals.SYST.set_clock_source(SystClkSource::Core);
    peripherals.SYST.set_reload(0x00ff_ffff);
    peripherals.SYST.clear_current();
    peripherals.SYST.enable_counter();

    let mut connection = Connection::new(ClientRole(Keys(1)), Limits::new());
    let mut tx = TxBuf::new(tx);
    let empty = measure(|| {
        black_box(&mut *frame);
    });
    let parse = measure(|| {
        let step = connection.handle_input(black_box(&mut frame[..]), &mut tx);
        let _ = black_box(step);
    });
    report(b"parse ", parse.wrapping_sub(empty));
    let text = core::str::from_utf8(&frame[4..]).unwrap_or_default();
    let encode = measure(|| {
        tx.clear();
        let _ = black_box(connection.send_text(black_box(text), &mut tx));
    });
    report(b"encode ", encode.wrapping_sub(empty));
    exit()
}

/// Instructions of one round.
#[inline(never)]
fn measure(mut round: impl FnMut()) -> u32 {
    let before = SYST::get_current();
    for _ in 0..ROUNDS {
        round();
    }
    let ticks = before.wrapping_sub(SYST::get_current()) & 0x00ff_ffff; // it counts down
    (ticks * INSTRUCTIONS_A_TICK).div_ceil(ROUNDS)
}
