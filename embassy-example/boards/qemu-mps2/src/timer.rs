//! The clock: CMSDK timer 0 counts, timer 1 wakes.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

const TIMER0: usize = 0x4000_0000;
const TIMER1: usize = 0x4000_1000;
const CTRL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
const INTERRUPT: usize = 0xC;
/// Enabled, with interrupt.
const RUN: u32 = 0b1001;
const TICKS_PER_US: u64 = 25;

struct Clock {
    high: u32,
    queue: Queue,
}

struct Timers {
    clock: Mutex<RefCell<Clock>>,
}

embassy_time_driver::time_driver_impl!(static TIMERS: Timers = Timers {
    clock: Mutex::new(RefCell::new(Clock { high: 0, queue: Queue::new() })),
});

fn write(timer: usize, register: usize, value: u32) {
    // SAFETY: these are the registers of the board's two timers, which nothing else uses.
    unsafe { ((timer + register) as *mut u32).write_volatile(value) }
}

fn read(timer: usize, register: usize) -> u32 {
    // SAFETY: as above.
    unsafe { ((timer + register) as *const u32).read_volatile() }
}

/// Starts the clock. The interrupts 8 and 9 are to be enabled afterwards.
pub fn start() {
    write(TIMER0, CTRL, 0);
    write(TIMER0, RELOAD, u32::MAX);
    write(TIMER0, VALUE, u32::MAX);
    write(TIMER0, CTRL, RUN);
}

/// The counter has run around (interrupt 8).
pub fn wrapped() {
    critical_section::with(|cs| {
        if read(TIMER0, INTERRUPT) != 0 {
            write(TIMER0, INTERRUPT, 1);
            TIMERS.clock.borrow_ref_mut(cs).high += 1;
        }
    });
}

/// The alarm is due (interrupt 9).
pub fn alarm() {
    write(TIMER1, CTRL, 0);
    write(TIMER1, INTERRUPT, 1);
    critical_section::with(|cs| TIMERS.arm(cs));
}

impl Timers {
    fn now_in(cs: CriticalSection<'_>, clock: &Clock) -> u64 {
        let _ = cs;
        let mut high = clock.high;
        let mut low = !read(TIMER0, VALUE);
        if read(TIMER0, INTERRUPT) != 0 {
            high += 1;
            low = !read(TIMER0, VALUE);
        }
        (u64::from(high) << 32 | u64::from(low)) / TICKS_PER_US
    }

    fn arm(&self, cs: CriticalSection<'_>) {
        let mut clock = self.clock.borrow_ref_mut(cs);
        loop {
            let now = Self::now_in(cs, &clock);
            let next = clock.queue.next_expiration(now);
            if next == u64::MAX {
                return write(TIMER1, CTRL, 0);
            }
            let Some(span) = next.checked_sub(Self::now_in(cs, &clock)).filter(|us| *us > 0) else {
                continue;
            };
            let ticks = (span.saturating_mul(TICKS_PER_US)).min(u64::from(u32::MAX)) as u32;
            write(TIMER1, CTRL, 0);
            write(TIMER1, INTERRUPT, 1);
            write(TIMER1, RELOAD, ticks.max(2));
            write(TIMER1, VALUE, ticks.max(2));
            return write(TIMER1, CTRL, RUN);
        }
    }
}

impl Driver for Timers {
    fn now(&self) -> u64 {
        critical_section::with(|cs| Self::now_in(cs, &self.clock.borrow_ref(cs)))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let sooner = self.clock.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if sooner {
                self.arm(cs);
            }
        });
    }
}
