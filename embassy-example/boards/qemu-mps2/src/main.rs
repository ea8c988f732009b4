//! The telemetry device on QEMU's mps2-an386.
//!
//! What it does it prints, line by line, for whoever tests it. Its arguments (semihosting) are those of
//! `tidings_trial::Options`. With `sizes` among them it prints how much memory things take, and ends.
#![no_std]
#![no_main]

mod ethernet;
mod executor;
mod sizes;
mod timer;

use core::fmt::Arguments;
use core::panic::PanicInfo;

use cortex_m::peripheral::NVIC;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use embassy_executor::task;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::Timer;
use semihosting::{print, println};
use static_cell::{ConstStaticCell, StaticCell};
use tidings_trial::{Board, Memory, Options, connection, readings};

use crate::ethernet::Ethernet;

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static ETHERNET: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
static STACK: StaticCell<StackResources<4>> = StaticCell::new();
static OPTIONS: StaticCell<Options> = StaticCell::new();

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    semihosting::process::exit(101)
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    println!("fault");
    semihosting::process::exit(102)
}

#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    match interrupt {
        8 => timer::wrapped(),
        9 => timer::alarm(),
        13 => ethernet::interrupt(),
        other => println!("unexpected interrupt {other}"),
    }
}

#[entry]
fn main() -> ! {
    timer::start();
    let ethernet = ETHERNET.take();
    ethernet.start();
    for number in [8, 9, 13] {
        // SAFETY: the handlers are ready for these interrupts, and no critical section relies on their masks.
        unsafe { NVIC::unmask(executor::Interrupt(number)) };
    }
    let options: &'static Options = OPTIONS.init(options());
    executor::run(|spawner| {
        let mut seed = [0; 8];
        Mps2.chance(&mut seed);
        let seed = u64::from_ne_bytes(seed);
        let resources = STACK.init(StackResources::new());
        let (stack, runner) = embassy_net::new(&mut *ethernet, options.network(), resources, seed);
        spawner.spawn(network(runner).unwrap());
        spawner.spawn(kick().unwrap());
        spawner.spawn(reading(options).unwrap());
        spawner.spawn(device(stack, options).unwrap());
    })
}

#[task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet>) -> ! {
    runner.run().await
}

/// QEMU's user network looks at new connections only when something wakes it.
#[task]
async fn kick() -> ! {
    loop {
        Timer::after_millis(5).await;
    }
}

#[task]
async fn reading(options: &'static Options) {
    readings(options).await;
}

#[task]
async fn device(stack: Stack<'static>, options: &'static Options) {
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        println!("address {}", config.address);
    }
    let end = connection(Mps2, stack, options, MEMORY.take()).await;
    println!("gave up: {end:?}");
    semihosting::process::exit(3);
}

fn options() -> Options {
    let mut options = Options::new("qemu-mps2");
    let words = semihosting::experimental::env::args::<1024>().expect("arguments");
    for word in words.skip(1) {
        let word = word.expect("text");
        if word == "sizes" {
            sizes::print();
            semihosting::process::exit(0);
        } else if options.set(word).is_none() {
            println!("what is {word}?");
            semihosting::process::exit(2);
        }
    }
    print!("");
    options
}

/// The board, whose chance is the host's.
#[derive(Clone, Copy)]
struct Mps2;

impl Board for Mps2 {
    fn chance(&self, out: &mut [u8]) {
        if semihosting::experimental::random::fill_bytes(out).is_err() {
            println!("there is no source of chance");
            semihosting::process::exit(4);
        }
    }

    fn say(&self, line: Arguments<'_>) {
        println!("{line}");
        if line.as_str().is_none() {
            println!("stack {}", sizes::stack_used());
        }
    }
}
