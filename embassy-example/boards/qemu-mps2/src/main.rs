//! A telemetry device on QEMU's mps2-an386.
//!
//! It sends readings to `private-telemetry` as client events, obeys `led` events on it, and is a member of
//! `presence-devices`. What it does it prints, line by line, for whoever tests it.
//!
//! Arguments (semihosting): `host=`, `port=`, `key=`, `secret=`, `readings=` (how many to send; 0 for one a second for
//! ever), `pong-timeout=` in seconds, `address=` (a static address such as 10.0.2.15/24, with `gateway=`; without it DHCP).
#![no_std]
#![no_main]

mod ethernet;
mod executor;
mod timer;

use core::cell::RefCell;
use core::fmt::Write as _;
use core::panic::PanicInfo;

use cortex_m::peripheral::NVIC;
use critical_section::Mutex;
use embassy_executor::task;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Instant, Timer};
use heapless::{String, Vec};
use semihosting::{print, println};
use serde::{Deserialize, Serialize};
use static_cell::{ConstStaticCell, StaticCell};
use tidings_core::entropy::Entropy;
use tidings_core::pusher::client::{ChannelEvent, Client, ClientConfig, ClientEvent, Position};
use tidings_core::pusher::parse_payload;
use tidings_embassy::net::{self, Resources};
use tidings_embassy::{Application, End, LocalSigner, Outbox, Session};

use crate::ethernet::Ethernet;

const TELEMETRY: &str = "private-telemetry";
const DEVICES: &str = "presence-devices";
const MEMBER: &str = r#"{"user_id":"qemu-mps2","user_info":{"board":"mps2-an386"}}"#;

static OUTBOX: Outbox<CriticalSectionRawMutex, 8, 128> = Outbox::new();
static RESOURCES: ConstStaticCell<Resources<2048, 512, 2048>> =
    ConstStaticCell::new(Resources::new());
static ETHERNET: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
static STACK: StaticCell<StackResources<4>> = StaticCell::new();
static OPTIONS: StaticCell<Options> = StaticCell::new();
static LED: Mutex<RefCell<bool>> = Mutex::new(RefCell::new(false));

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    semihosting::process::exit(101)
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(interrupt: i16) {
    match interrupt {
        8 => timer::wrapped(),
        9 => timer::alarm(),
        13 => ethernet::interrupt(),
        other => println!("unexpected interrupt {other}"),
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    timer::start();
    let ethernet = ETHERNET.take();
    ethernet.start();
    for number in [8, 9, 13] {
        // SAFETY: the handlers are ready for these interrupts, and no critical section relies on their masks.
        unsafe { NVIC::unmask(executor::Interrupt(number)) };
    }
    let options = OPTIONS.init(Options::read());
    executor::run(|spawner| {
        let config = options.network();
        let (stack, runner) = embassy_net::new(
            &mut *ethernet,
            config,
            STACK.init(StackResources::new()),
            u64::from(chance()),
        );
        spawner.spawn(network(runner).unwrap());
        spawner.spawn(kick().unwrap());
        spawner.spawn(readings(options.readings).unwrap());
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

/// The application: about what a device for a living would have.
#[task]
async fn device(stack: Stack<'static>, options: &'static Options) {
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        println!("address {}", config.address);
    }
    let mut config = ClientConfig::new(&options.host, options.port, &options.key, 2000);
    config.pong_timeout_s = options.pong_timeout_s;
    let mut client = Client::<_, Vec<_, 4>>::new(Chance, Vec::new());
    for channel in [TELEMETRY, DEVICES] {
        let channel = client.subscribe(channel).expect("a channel's name");
        client.resume(channel, Position::Latest).expect("it is there");
    }
    let key: &'static str = &options.key;
    let mut signer = LocalSigner::new(key, options.secret.as_bytes(), MEMBER);
    let resources = RESOURCES.take();
    let session = Session { client: &mut client, config: &config };
    let mut app = Device::default();
    let end = net::run(stack, session, resources, &OUTBOX, &mut signer, &mut app, chance).await;
    println!("gave up: {end:?}");
    semihosting::process::exit(3);
}

#[derive(Serialize)]
struct Reading {
    device: &'static str,
    n: u32,
    celsius: f32,
    uptime_s: u32,
    led: bool,
    replaced: u32,
}

/// Sends readings.
#[task]
async fn readings(count: u32) {
    let mut n = 0u32;
    loop {
        let reading = Reading {
            device: "qemu-mps2",
            n,
            celsius: 20.0 + (n % 40) as f32 / 8.0,
            uptime_s: Instant::now().as_secs() as u32,
            led: critical_section::with(|cs| *LED.borrow_ref(cs)),
            replaced: OUTBOX.replaced(),
        };
        if count == 0 {
            // Only the latest is of use when the link is away.
            let _ = OUTBOX.trigger_latest(TELEMETRY, "client-reading", &reading);
            Timer::after_secs(1).await;
        } else if OUTBOX.trigger(TELEMETRY, "client-reading", &reading).is_err() {
            Timer::after_millis(1).await; // it is full: this one again
            continue;
        } else if n + 1 == count {
            return;
        }
        n += 1;
    }
}

/// Obeys, and prints what happens.
#[derive(Default)]
struct Device {
    commands: u32,
}

#[derive(Deserialize)]
struct Led {
    on: bool,
    n: u32,
}

impl Application for Device {
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>) {
        match event {
            ChannelEvent::Message { event: "led", data: Some(data), .. } => {
                let Ok(led) = parse_payload::<Led>(data, &mut []) else {
                    return println!("unreadable {data}");
                };
                critical_section::with(|cs| *LED.borrow_ref_mut(cs) = led.on);
                if led.n != self.commands {
                    println!("command {} came when {} was due", led.n, self.commands);
                }
                self.commands = led.n + 1;
                if self.commands % 100 == 0 {
                    println!("commands {}", self.commands);
                }
            }
            ChannelEvent::Resumed { complete, events } => {
                let result = if complete { "complete" } else { "gap" };
                println!("resumed {channel} {result} with {events}");
            }
            ChannelEvent::Subscribed { presence } => match presence {
                Some(presence) => println!("subscribed {channel} members {}", presence.count()),
                None => println!("subscribed {channel}"),
            },
            ChannelEvent::Rejected { error, .. } => println!("rejected {channel}: {error}"),
            ChannelEvent::MemberAdded { user_id, .. } => println!("added {user_id}"),
            ChannelEvent::MemberRemoved { user_id } => println!("removed {user_id}"),
            _ => {}
        }
    }

    fn ended(&mut self, end: End) {
        println!("ended {end:?}");
    }

    fn connection_event(&mut self, event: ClientEvent<'_>) {
        match event {
            ClientEvent::Connected { socket_id } => println!("connected {}", &*socket_id.as_text()),
            other => println!("{other:?}"),
        }
    }
}

/// The host's source of chance; a board has its own.
struct Chance;

impl Entropy for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(4) {
            part.copy_from_slice(&chance().to_ne_bytes()[..part.len()]);
        }
    }
}

fn chance() -> u32 {
    let mut bytes = [0; 4];
    if semihosting::experimental::random::fill_bytes(&mut bytes).is_err() {
        println!("there is no source of chance");
        semihosting::process::exit(4);
    }
    u32::from_ne_bytes(bytes)
}

/// What the command line says.
struct Options {
    host: String<64>,
    port: u16,
    key: String<64>,
    secret: String<64>,
    readings: u32,
    pong_timeout_s: u16,
    address: Option<Ipv4Cidr>,
    gateway: Option<Ipv4Address>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            host: String::new(),
            port: 6001,
            key: String::new(),
            secret: String::new(),
            readings: 0,
            pong_timeout_s: 0,
            address: None,
            gateway: None,
        };
        let arguments = semihosting::experimental::env::args::<512>().expect("arguments");
        for argument in arguments.skip(1) {
            let argument = argument.expect("text");
            let Some((name, value)) = argument.split_once('=') else { continue };
            let known = match name {
                "host" => options.host.write_str(value).is_ok(),
                "key" => options.key.write_str(value).is_ok(),
                "secret" => options.secret.write_str(value).is_ok(),
                "port" => value.parse().map(|port| options.port = port).is_ok(),
                "readings" => value.parse().map(|count| options.readings = count).is_ok(),
                "pong-timeout" => value.parse().map(|s| options.pong_timeout_s = s).is_ok(),
                "address" => value.parse().map(|at| options.address = Some(at)).is_ok(),
                "gateway" => value.parse().map(|at| options.gateway = Some(at)).is_ok(),
                _ => false,
            };
            if !known {
                println!("what is {argument}?");
                semihosting::process::exit(2);
            }
        }
        print!("");
        options
    }

    fn network(&self) -> Config {
        match self.address {
            Some(address) => Config::ipv4_static(StaticConfigV4 {
                address,
                gateway: self.gateway,
                dns_servers: Vec::new(),
            }),
            None => Config::dhcpv4(Default::default()),
        }
    }
}
