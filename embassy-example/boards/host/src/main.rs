//! The telemetry device as a program on Linux, over a TAP device with an Ethernet of its own.
//!
//! ```sh
//! ip tuntap add dev tap0 mode tap user "$USER"; ip addr add 10.0.2.2/24 dev tap0; ip link set tap0 up   # as root
//! cargo run -- host=10.0.2.2 key=app-key secret=app-secret address=10.0.2.15/24 gateway=10.0.2.2
//! ```
//!
//! The words are those of `tidings_trial::Options`, and `tap=` for another device than tap0.

use std::fmt::Arguments;

use embassy_executor::{Executor, task};
use embassy_net::{Runner, Stack, StackResources};
use embassy_net_tuntap::TunTapDevice;
use static_cell::{ConstStaticCell, StaticCell};
use tidings_trial::{Board, Memory, Options, connection, readings};

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static OPTIONS: StaticCell<Options> = StaticCell::new();
static STACK: StaticCell<StackResources<4>> = StaticCell::new();

fn main() {
    let mut tap = String::from("tap0");
    let options = OPTIONS.init(Options::new("host"));
    for word in std::env::args().skip(1) {
        if let Some(name) = word.strip_prefix("tap=") {
            tap = name.into();
        } else if options.set(&word).is_none() {
            leave(2, format_args!("what is {word}?"));
        }
    }
    let ethernet = TunTapDevice::new(&tap).unwrap_or_else(|error| {
        leave(4, format_args!("{tap}: {error}: make it as README.md says, for this user"))
    });
    let mut seed = [0; 8];
    Linux.chance(&mut seed);
    let (stack, runner) = embassy_net::new(
        ethernet,
        options.network(),
        STACK.init(StackResources::new()),
        u64::from_ne_bytes(seed),
    );
    let options: &'static Options = options;
    EXECUTOR.init(Executor::new()).run(|spawner| {
        spawner.spawn(network(runner).unwrap());
        spawner.spawn(reading(options).unwrap());
        spawner.spawn(device(stack, options).unwrap());
    })
}

#[task]
async fn network(mut runner: Runner<'static, TunTapDevice>) -> ! {
    runner.run().await
}

#[task]
async fn reading(options: &'static Options) {
    readings(options).await;
}

#[task]
async fn device(stack: Stack<'static>, options: &'static Options) {
    let end = connection(Linux, stack, options, MEMORY.take()).await;
    leave(3, format_args!("gave up: {end:?}"));
}

fn leave(code: i32, why: Arguments<'_>) -> ! {
    println!("{why}");
    std::process::exit(code)
}

/// The system is the board.
#[derive(Clone, Copy)]
struct Linux;

impl Board for Linux {
    fn chance(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("a source of chance");
    }

    fn say(&self, line: Arguments<'_>) {
        println!("{line}");
    }
}
