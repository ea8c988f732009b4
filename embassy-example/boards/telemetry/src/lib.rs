//! The application of the example devices, the same on every board: once a second a reading goes to `private-telemetry`
//! as a client event, and `led` events there are obeyed. `presence-devices` shows who is there.
#![no_std]

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, Instant, Ticker};
use heapless::Vec;
use serde::{Deserialize, Serialize};
use tidings_core::entropy::Entropy;
use tidings_core::pusher::client::{ChannelEvent, ClientConfig, FixedClient, Position};
use tidings_core::pusher::parse_payload;
use tidings_embassy::net::{self, Resources};
use tidings_embassy::{Application, End, LocalSigner, Outbox, Session};

/// Where readings go and commands come from.
pub const TELEMETRY: &str = "private-telemetry";
/// Where devices are seen to be there.
pub const DEVICES: &str = "presence-devices";

/// Readings that wait: 8 events of at most 128 bytes.
pub type Readings = Outbox<CriticalSectionRawMutex, 8, 128>;
/// The connection's memory: messages of up to 2,034 bytes, 512 bytes sent at once, TCP windows of 2 KB.
pub type Memory = Resources<2048, 512, 2048>;

/// What a device reports.
#[derive(Debug, Serialize)]
pub struct Reading {
    /// Which device.
    pub device: &'static str,
    /// The number of the reading since the start.
    pub n: u32,
    /// Degrees.
    pub celsius: f32,
    /// Seconds since the start.
    pub uptime_s: u32,
    /// Whether the LED is on.
    pub led: bool,
    /// Readings that newer ones took the place of while the link was slow or away.
    pub replaced: u32,
}

/// A command: `{"on": true}`.
#[derive(Debug, Deserialize)]
pub struct Led {
    /// Whether the LED shall be on.
    pub on: bool,
}

/// A client that has the two channels. Commands that were published while the link was away come when it is back, if the
/// server keeps history.
pub fn client<R: Entropy>(chance: R) -> FixedClient<&'static str, R, 4> {
    let mut client = FixedClient::new(chance, Vec::new());
    for name in [TELEMETRY, DEVICES] {
        if let Ok(channel) = client.subscribe(name) {
            let _ = client.resume(channel, Position::Latest); // it is there
        }
    }
    client
}

/// Obeys commands.
#[derive(Debug)]
pub struct Device<F> {
    led: &'static AtomicBool,
    set_led: F,
}

impl<F: FnMut(bool)> Device<F> {
    /// `led` is what readings report, `set_led` switches it.
    pub const fn new(led: &'static AtomicBool, set_led: F) -> Self {
        Self { led, set_led }
    }
}

impl<F: FnMut(bool)> Application for Device<F> {
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>) {
        if let ChannelEvent::Message { event: "led", data: Some(data), .. } = event
            && channel == TELEMETRY
            && let Ok(Led { on }) = parse_payload(data, &mut [])
        {
            (self.set_led)(on);
            self.led.store(on, Ordering::Relaxed);
        }
    }
}

/// Reports once a second what `celsius` measures. A reading that could not leave yet makes way for the next.
pub async fn report(
    device: &'static str,
    readings: &Readings,
    led: &AtomicBool,
    mut celsius: impl AsyncFnMut() -> f32,
) -> ! {
    let mut ticker = Ticker::every(Duration::from_secs(1));
    let mut n = 0;
    loop {
        let reading = Reading {
            device,
            n,
            celsius: celsius().await,
            uptime_s: u32::try_from(Instant::now().as_secs()).unwrap_or(u32::MAX),
            led: led.load(Ordering::Relaxed),
            replaced: readings.replaced(),
        };
        let _ = readings.trigger_latest(TELEMETRY, "client-reading", &reading);
        n = n.wrapping_add(1);
        ticker.next().await;
    }
}

/// Keeps a board's connection up. It returns only when the server says that another attempt is of no use, since the key is
/// unknown, say: a device that starts over by itself then would only be a burden to the server.
pub async fn run<R: Entropy + Clone>(
    stack: Stack<'static>,
    settings: &Settings,
    member: &'static str,
    memory: &mut Memory,
    readings: &Readings,
    chance: R,
    app: &mut impl Application,
) -> End {
    let config = ClientConfig::new(settings.host, settings.port, settings.key, 2000);
    let mut client = client(chance.clone());
    let session = Session { client: &mut client, config: &config };
    let mut signer = LocalSigner::new(settings.key, settings.secret.as_bytes(), member);
    net::run(stack, session, memory, readings, &mut signer, app, jitter(chance)).await
}

/// Numbers from a source of chance, as [`net::run`] wants them.
pub fn jitter(mut chance: impl Entropy) -> impl FnMut() -> u32 {
    move || {
        let mut bytes = [0; 4];
        chance.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }
}

/// What a device connects to, put in when it is built. It has a secret, and so does not show itself.
#[derive(Clone, Copy)]
pub struct Settings {
    /// The server's name or address.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
    /// The app's key.
    pub key: &'static str,
    /// The app's secret. It is in the device's flash then: see [`tidings_embassy::LocalSigner`].
    pub secret: &'static str,
}

/// The [`Settings`] from the environment of the build: `TIDINGS_HOST`, `TIDINGS_PORT` (6001), `TIDINGS_APP_KEY` and
/// `TIDINGS_APP_SECRET`.
#[macro_export]
macro_rules! settings {
    () => {
        $crate::Settings {
            host: env!("TIDINGS_HOST", "set TIDINGS_HOST to the server's name or address"),
            port: $crate::port(option_env!("TIDINGS_PORT")),
            key: env!("TIDINGS_APP_KEY", "set TIDINGS_APP_KEY to the app's key"),
            secret: env!("TIDINGS_APP_SECRET", "set TIDINGS_APP_SECRET to the app's secret"),
        }
    };
}

/// A port, read when the program is built.
#[must_use]
pub const fn port(text: Option<&str>) -> u16 {
    let Some(text) = text else { return 6001 };
    match u16::from_str_radix(text, 10) {
        Ok(port) => port,
        Err(_) => panic!("TIDINGS_PORT is no number from 0 to 65535"),
    }
}
