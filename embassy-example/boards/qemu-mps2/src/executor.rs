//! An executor that sleeps until an interrupt.
//!
//! The one of embassy for Cortex-M sleeps by WFE, which QEMU takes for "do nothing": it would burn a core of the host.

use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::interrupt::InterruptNumber;
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

static WORK: AtomicBool = AtomicBool::new(true);
static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    WORK.store(true, Ordering::Release);
}

/// Runs tasks for ever.
pub fn run(begin: impl FnOnce(Spawner)) -> ! {
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    begin(executor.spawner());
    loop {
        // SAFETY: the executor is initialised and polled from here alone.
        unsafe { executor.poll() };
        cortex_m::interrupt::disable();
        if !WORK.swap(false, Ordering::AcqRel) {
            // It wakes on an interrupt that is pending, though interrupts are off.
            cortex_m::asm::wfi();
        }
        // SAFETY: no critical section is open here.
        unsafe { cortex_m::interrupt::enable() };
    }
}

/// An interrupt of the board by its number.
#[derive(Clone, Copy)]
pub struct Interrupt(pub u16);

// SAFETY: the numbers used are those of the board's interrupts, below 32.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}
