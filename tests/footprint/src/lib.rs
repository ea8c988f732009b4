//! The same surroundings for every program: scripted input, counted output, a report with the stack's high water.
//!
//! The input stands in the PSRAM of the board, put there by QEMU, so that it costs no flash and no optimiser can see it:
//! a length of two bytes (little endian), so many bytes, and so on up to a length of 0.
#![no_std]

use core::cell::Cell;
use core::fmt;
use core::panic::PanicInfo;

use cortex_m as _;
use tidings_core::entropy::Entropy;

unsafe extern "C" {
    /// Nobody defines it: a program in which a way to panic is left does not link.
    fn a_way_to_panic_is_left() -> !;
    static mut _stack_start: u32;
    static mut __ebss: u32;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it is never called, since the program would not have linked.
    unsafe { a_way_to_panic_is_left() }
}

const SCRIPT: *const u8 = 0x2100_0000 as *const u8;
const PAINT: u32 = 0xA5C3_96E1;

/// The program's end of a transport.
#[derive(Default)]
pub struct Wire {
    at: Cell<usize>,
    sent: Cell<u32>,
    sum: Cell<u32>,
    events: Cell<u32>,
    object: Cell<u32>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Wire {
    fn byte(&self) -> u8 {
        let at = self.at.get();
        self.at.set(at.wrapping_add(1));
        // SAFETY: the script is 16 MB of readable memory, which ends with a length of 0.
        unsafe { SCRIPT.add(at).read_volatile() }
    }

    /// Reads the next piece of the script; 0 at its end.
    #[inline(never)]
    pub fn recv(&self, out: &mut [u8]) -> usize {
        let len = usize::from(u16::from_le_bytes([self.byte(), self.byte()]));
        let len = len.min(out.len());
        for byte in out.iter_mut().take(len) {
            *byte = self.byte();
        }
        len
    }

    /// Sends bytes: they are counted and summed.
    #[inline(never)]
    pub fn send(&self, bytes: &[u8]) {
        for byte in bytes {
            self.sum.set(self.sum.get().wrapping_mul(31).wrapping_add(u32::from(*byte)));
        }
        self.sent.set(self.sent.get().wrapping_add(bytes.len() as u32));
    }

    /// Notes the size of the machine, whose memory is a static or the caller's.
    pub fn object(&self, bytes: usize) {
        self.object.set(bytes as u32);
    }

    /// Takes what the program was told.
    #[inline(never)]
    pub fn event(&self, bytes: &[u8]) {
        let last = bytes.last().copied().unwrap_or_default();
        self.events.set(self.events.get().wrapping_add(1));
        self.sum.set(self.sum.get().wrapping_add(u32::from(last)));
    }
}

/// Runs a program on a painted stack, reports and ends.
#[inline(never)]
pub fn run(program: fn(&Wire)) -> ! {
    let end = (&raw const _stack_start) as u32;
    let from = (&raw const __ebss) as u32;
    let here = cortex_m::register::msp::read();
    let mut at = from;
    while at < here.wrapping_sub(64) {
        // SAFETY: it is memory between the statics and the stack that is in use.
        unsafe { (at as *mut u32).write_volatile(PAINT) };
        at = at.wrapping_add(4);
    }
    let wire = Wire::default();
    program(&wire);
    let mut at = from;
    // SAFETY: as above; it is only read.
    while at < here && unsafe { (at as *const u32).read_volatile() } == PAINT {
        at = at.wrapping_add(4);
    }
    report(b"events ", wire.events.get());
    report(b"sent ", wire.sent.get());
    report(b"sum ", wire.sum.get());
    report(b"object ", wire.object.get());
    report(b"stack ", end.wrapping_sub(at));
    exit()
}

/// Prints a name and a number.
#[inline(never)]
pub fn report(name: &[u8], number: u32) {
    name.iter().for_each(|byte| put(*byte));
    let mut scale = 1_000_000_000u32;
    let mut begun = false;
    while scale > 0 {
        let digit = number.checked_div(scale).unwrap_or_default() % 10;
        begun |= digit > 0 || scale == 1;
        if begun {
            put(b'0' | digit as u8);
        }
        scale /= 10;
    }
    put(b'\n');
}

/// Writes a byte by semihosting (SYS_WRITEC).
fn put(byte: u8) {
    semihost(3, (&raw const byte) as u32);
}

/// Ends QEMU with status 0 (SYS_EXIT with ADP_Stopped_ApplicationExit).
pub fn exit() -> ! {
    loop {
        semihost(0x18, 0x2_0026);
    }
}

fn semihost(operation: u32, argument: u32) {
    // SAFETY: the two operations that are used read at most one byte of valid memory.
    unsafe {
        core::arch::asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument, options(nostack));
    }
}

/// Differing keys that a script can foresee; a device has a source of chance.
#[derive(Debug)]
pub struct Keys(pub u32);

impl Entropy for Keys {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (self.0 >> 24) as u8;
        }
    }
}

/// What the deliberate fault indexes with.
#[cfg(feature = "deliberate")]
pub fn deliberate(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}
