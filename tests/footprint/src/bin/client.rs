//! A whole Pusher client with eight channels: handshake, subscriptions that it signs by itself, events both ways, pings.
#![no_std]
#![no_main]

use tidings_core::auth::{Signature, SigningKey, sign_channel};
use tidings_core::io::{Progress, RxBuf, TxBuf};
use tidings_core::pusher::SocketId;
use tidings_core::pusher::TriggerData;
use tidings_core::pusher::client::{
    ChannelEvent, ChannelId, Client, ClientConfig, ClientEvent, FixedClient,
};
use tidings_core::time::Instant;
use tidings_footprint::{Keys, Wire, run};

static mut RX: [u8; 1024] = [0; 1024];
static mut TX: [u8; 1024] = [0; 1024];
static mut CLIENT: FixedClient<&str, Keys, 8> = Client::new(Keys(0), heapless::Vec::new());

static mut KEY: Option<SigningKey> = None;

static CONFIG: ClientConfig<'_> = ClientConfig::new("example.test", 80, "app-key", 800);

#[cortex_m_rt::entry]
fn main() -> ! {
    run(program)
}

type Device = FixedClient<&'static str, Keys, 8>;

fn program(wire: &Wire) {
    // SAFETY: this function runs once, on the only thread.
    let (rx, tx, client, key) = unsafe {
        (&mut *(&raw mut RX), &mut *(&raw mut TX), &mut *(&raw mut CLIENT), &mut *(&raw mut KEY))
    };
    let key = make_key(key);
    wire.object(size_of::<Device>());
    let (mut rx, mut tx) = (RxBuf::new(rx), TxBuf::new(tx));
    let mut clock = 0;
    let (Ok(telemetry), Ok(_)) = (client.subscribe("private-telemetry"), client.subscribe("news"))
    else {
        return;
    };
    if client.open(&CONFIG, Instant::from_millis(0), &mut tx).is_err() {
        return;
    }
    loop {
        clock += 1;
        let now = Instant::from_millis(clock);
        let step = match client.handle_input(now, rx.filled_mut(), &mut tx) {
            Ok(step) => step,
            Err(error) => {
                let _ = client.fail(error, &mut tx);
                return wire.send(tx.written());
            }
        };
        let consumed = step.consumed;
        let mut wait = false;
        match step.progress {
            Progress::Event(ClientEvent::Authorize { channel, socket_id }) => {
                authorize(client, key, channel, socket_id, &mut tx);
            }
            Progress::Event(ClientEvent::Channel {
                event: ChannelEvent::Subscribed { .. },
                channel,
            }) if channel == telemetry => {
                let data = Some(TriggerData::Text("21.5"));
                let _ = client.trigger(telemetry, "client-reading", data, &mut tx);
            }
            Progress::Event(ClientEvent::Channel {
                event: ChannelEvent::Message { data: Some(data), .. },
                ..
            }) => wire.event(data.as_bytes()),
            Progress::Event(ClientEvent::Closed { .. } | ClientEvent::Refused { .. }) => {
                return wire.send(tx.written());
            }
            Progress::Event(_) | Progress::Advanced => {}
            Progress::NeedInput { .. } | Progress::NeedOutput { .. } => {
                wire.send(tx.written());
                tx.clear();
                wait = true;
            }
        }
        rx.consume(consumed);
        if wait {
            let read = wire.recv(rx.spare_mut());
            if read == 0 {
                // Nothing comes any more: what a timer would do.
                let later = Instant::from_millis(10_000_000);
                if client.handle_timeout(&CONFIG, later, &mut tx).is_ok() {
                    wire.send(tx.written());
                }
                return;
            }
            rx.commit(read);
        }
    }
}

// Each in a frame of its own, so that what one is done with is not under the next.

#[inline(never)]
fn make_key(place: &mut Option<SigningKey>) -> &SigningKey {
    place.insert(SigningKey::new(b"app-secret"))
}

#[inline(never)]
fn authorize(
    client: &mut Device,
    key: &SigningKey,
    channel: ChannelId,
    socket_id: SocketId,
    tx: &mut TxBuf<'_>,
) {
    let Some(name) = client.name(channel) else { return };
    let signature = sign(key, socket_id, name);
    answer(client, channel, socket_id, &signature, tx);
}

#[inline(never)]
fn sign(key: &SigningKey, socket_id: SocketId, channel: &str) -> Signature {
    sign_channel(key, &socket_id.as_text(), channel, None)
}

#[inline(never)]
fn answer(
    client: &mut Device,
    channel: ChannelId,
    socket_id: SocketId,
    signature: &Signature,
    tx: &mut TxBuf<'_>,
) {
    let mut memory = [0; 80];
    let mut auth = TxBuf::new(&mut memory);
    let written = auth.put(b"app-key:").and_then(|()| auth.put(signature.as_str().as_bytes()));
    if let (Ok(()), Ok(auth)) = (written, core::str::from_utf8(auth.written())) {
        let _ = client.authorize(channel, socket_id, auth, None, tx);
    }
}
