//! The telemetry device as it is tried out: told by words what to do ([`Options`]), and telling in lines what happens.
//!
//! The application is that of all boards, `tidings_telemetry`. A board brings a network, a source of chance and a place for
//! lines of text ([`Board`]), and runs [`connection`] and [`readings`] as tasks.
#![no_std]
#![forbid(unsafe_code)]

mod options;

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use serde::Deserialize;
use tidings_core::entropy::Entropy;
use tidings_core::pusher::client::{ChannelEvent, ClientConfig, ClientEvent};
use tidings_core::pusher::parse_payload;
use tidings_embassy::{Application, End, LocalSigner, Session, net};
#[cfg(not(feature = "tls"))]
use tidings_telemetry::jitter;
use tidings_telemetry::{Device, Reading, Readings, TELEMETRY, client, report};

pub use options::Options;

/// The readings that wait to be sent.
pub static READINGS: Readings = Readings::new();
static LED: AtomicBool = AtomicBool::new(false);

/// The memory of the connection.
#[cfg(not(feature = "tls"))]
pub type Memory = tidings_telemetry::Memory;
/// The memory of the connection: messages of 2 KB, 2 KB each way for TCP, and whole records.
#[cfg(feature = "tls")]
pub type Memory = net::SecuredResources<2048, 512, 2048>;

/// What a board has.
pub trait Board: Copy {
    /// Fills `out` from a cryptographic source of chance.
    fn chance(&self, out: &mut [u8]);

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
    let mut client = client(Chance(board));
    let mut signer = LocalSigner::new(&options.key, options.secret.as_bytes(), &options.member);
    let session = Session { client: &mut client, config: &config };
    let mut app = Watched::new(board);
    #[cfg(feature = "tls")]
    {
        let tls = tidings_embassy::tls::Tls { pins: &options.pins, random: Chance(board) };
        net::run_secured(stack, session, memory, &READINGS, &mut signer, &mut app, tls).await
    }
    #[cfg(not(feature = "tls"))]
    {
        let chance = jitter(Chance(board));
        net::run(stack, session, memory, &READINGS, &mut signer, &mut app, chance).await
    }
}

/// Sends readings: as many as the options say as fast as they leave, or one a second for ever.
pub async fn readings(options: &'static Options) {
    if options.readings == 0 {
        report(&options.device, &READINGS, &LED, async || 21.5).await;
    }
    let mut n = 0u32;
    while n < options.readings {
        let reading = Reading {
            device: &options.device,
            n,
            celsius: 20.0 + (n % 40) as f32 / 8.0,
            uptime_s: Instant::now().as_secs() as u32,
            led: LED.load(Ordering::Relaxed),
            replaced: READINGS.replaced(),
        };
        if READINGS.trigger(TELEMETRY, "client-reading", &reading).is_err() {
            Timer::after_millis(1).await; // it is full: this one again
            continue;
        }
        n = n.wrapping_add(1);
    }
}

/// The application with somebody who watches, and who counts the commands.
#[derive(Debug)]
pub struct Watched<B> {
    board: B,
    device: Device<fn(bool)>,
    commands: u32,
}

impl<B> Watched<B> {
    /// A device that has heard no command.
    pub fn new(board: B) -> Self {
        // There is no light to see: what it would be is in the readings.
        Self { board, device: Device::new(&LED, |_| {}), commands: 0 }
    }
}

/// The number of a command.
#[derive(Deserialize)]
struct Numbered {
    n: u32,
}

impl<B: Board> Application for Watched<B> {
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>) {
        let board = self.board;
        self.device.channel_event(channel, event);
        match event {
            ChannelEvent::Message { event: "led", data: Some(data), .. } => {
                let Ok(Numbered { n }) = parse_payload(data, &mut []) else {
                    return board.say(format_args!("unreadable {data}"));
                };
                if n != self.commands {
                    let due = self.commands;
                    board.say(format_args!("command {n} came when {due} was due"));
                }
                self.commands = n.wrapping_add(1);
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
