//! The telemetry device of the examples, without its board: what is the same on every one.
//!
//! It sends readings to `private-telemetry` as client events, obeys `led` events on it, and is a member of
//! `presence-devices`. A board brings a network, a light, a source of chance and a place for lines of text ([`Board`]), and runs
//! [`connection`] and [`readings`] as tasks.
#![no_std]
#![forbid(unsafe_code)]
#![allow(async_fn_in_trait)]

mod options;

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Instant, Timer};
use heapless::Vec;
use serde::{Deserialize, Serialize};
use tidings_core::entropy::Entropy;
use tidings_core::pusher::client::{ChannelEvent, Client, ClientConfig, ClientEvent, Position};
use tidings_core::pusher::parse_payload;
use tidings_embassy::{Application, End, LocalSigner, Outbox, Session, net};

pub use options::Options;

const TELEMETRY: &str = "private-telemetry";
const DEVICES: &str = "presence-devices";

/// The events that wait to be sent: eight of 128 bytes.
pub static OUTBOX: Outbox<CriticalSectionRawMutex, 8, 128> = Outbox::new();
static LIGHT: AtomicBool = AtomicBool::new(false);

/// The memory of the connection: messages of 2 KB, and 2 KB each way for TCP.
#[cfg(not(feature = "tls"))]
pub type Memory = net::Resources<2048, 512, 2048>;
/// The memory of the connection: messages of 2 KB, 2 KB each way for TCP, and whole records.
#[cfg(feature = "tls")]
pub type Memory = net::SecuredResources<2048, 512, 2048>;

/// What a board has.
pub trait Board: Copy {
    /// Fills `out` from a cryptographic source of chance.
    fn chance(&self, out: &mut [u8]);

    /// Turns the light on or off.
    fn light(&self, on: bool);

    /// Prints a line, for whoever watches.
    fn say(&self, line: fmt::Arguments<'_>);
}

/// A board's chance, as the protocol asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Chance<B>(pub B);

impl<B: Board> Entropy for Chance<B> {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.chance(out);
    }
}

/// Keeps the connection up; it returns when that is of no use.
pub async fn connection<B: Board>(
    board: B,
    stack: Stack<'static>,
    options: &'static Options,
    memory: &mut Memory,
) -> End {
    let mut config = ClientConfig::new(&options.host, options.port, &options.key, 2000);
    config.pong_timeout_s = options.pong_timeout_s;
    let mut client = Client::<_, Vec<_, 4>>::new(Chance(board), Vec::new());
    for channel in [TELEMETRY, DEVICES] {
        let channel = client.subscribe(channel).expect("a channel's name");
        client.resume(channel, Position::Latest).expect("it is there");
    }
    let mut signer = LocalSigner::new(&options.key, options.secret.as_bytes(), &options.member);
    let session = Session { client: &mut client, config: &config };
    let mut app = Device::new(board);
    #[cfg(feature = "tls")]
    {
        let tls = tidings_embassy::tls::Tls { pins: &options.pins, random: Chance(board) };
        net::run_secured(stack, session, memory, &OUTBOX, &mut signer, &mut app, tls).await
    }
    #[cfg(not(feature = "tls"))]
    {
        let chance = || {
            let mut bytes = [0; 4];
            board.chance(&mut bytes);
            u32::from_ne_bytes(bytes)
        };
        net::run(stack, session, memory, &OUTBOX, &mut signer, &mut app, chance).await
    }
}

#[derive(Serialize)]
struct Reading<'d> {
    device: &'d str,
    n: u32,
    celsius: f32,
    uptime_s: u32,
    led: bool,
    replaced: u32,
}

/// Sends readings: as many as the options say as fast as they leave, or one a second for ever.
pub async fn readings(options: &'static Options) {
    let mut n = 0u32;
    loop {
        let reading = Reading {
            device: &options.device,
            n,
            celsius: 20.0 + (n % 40) as f32 / 8.0,
            uptime_s: Instant::now().as_secs() as u32,
            led: LIGHT.load(Ordering::Relaxed),
            replaced: OUTBOX.replaced(),
        };
        if options.readings == 0 {
            // Only the latest is of use when the link is away.
            let _ = OUTBOX.trigger_latest(TELEMETRY, "client-reading", &reading);
            Timer::after_secs(1).await;
        } else if OUTBOX.trigger(TELEMETRY, "client-reading", &reading).is_err() {
            Timer::after_millis(1).await; // it is full: this one again
            continue;
        } else if n.wrapping_add(1) == options.readings {
            return;
        }
        n = n.wrapping_add(1);
    }
}

/// Obeys, and prints what happens.
#[derive(Debug)]
pub struct Device<B> {
    board: B,
    commands: u32,
}

impl<B> Device<B> {
    /// A device that has heard no command.
    pub const fn new(board: B) -> Self {
        Self { board, commands: 0 }
    }
}

#[derive(Deserialize)]
struct Led {
    on: bool,
    n: u32,
}

impl<B: Board> Application for Device<B> {
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>) {
        let board = self.board;
        match event {
            ChannelEvent::Message { event: "led", data: Some(data), .. } => {
                let Ok(led) = parse_payload::<Led>(data, &mut []) else {
                    return board.say(format_args!("unreadable {data}"));
                };
                LIGHT.store(led.on, Ordering::Relaxed);
                board.light(led.on);
                if led.n != self.commands {
                    let due = self.commands;
                    board.say(format_args!("command {} came when {due} was due", led.n));
                }
                self.commands = led.n.wrapping_add(1);
                if self.commands.is_multiple_of(100) {
                    board.say(format_args!("commands {}", self.commands));
                }
            }
            ChannelEvent::Subscribed { presence: None } => {
                board.say(format_args!("subscribed {channel}"));
            }
            ChannelEvent::Subscribed { presence: Some(presence) } => {
                board.say(format_args!("subscribed {channel} members {}", presence.count()));
            }
            ChannelEvent::Resumed { complete, events } => {
                let result = if complete { "complete" } else { "gap" };
                board.say(format_args!("resumed {channel} {result} with {events}"));
            }
            ChannelEvent::Rejected { error, .. } => {
                board.say(format_args!("rejected {channel}: {error}"));
            }
            ChannelEvent::MemberAdded { user_id, .. } => board.say(format_args!("added {user_id}")),
            ChannelEvent::MemberRemoved { user_id } => board.say(format_args!("removed {user_id}")),
            _ => {}
        }
    }

    fn connection_event(&mut self, event: ClientEvent<'_>) {
        match event {
            ClientEvent::Connected { socket_id } => {
                self.board.say(format_args!("connected {}", &*socket_id.as_text()));
            }
            other => self.board.say(format_args!("{other:?}")),
        }
    }

    fn ended(&mut self, end: End) {
        #[cfg(feature = "tls")]
        if let End::Tls(failure) = end {
            return self.board.say(format_args!("ended {failure}"));
        }
        self.board.say(format_args!("ended {end:?}"));
    }
}
