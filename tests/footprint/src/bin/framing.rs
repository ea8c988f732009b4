//! A WebSocket client behind its handshake: messages put together, UTF-8 checked, pings and the close answered.
#![no_std]
#![no_main]

use tidings_core::io::{Progress, RxBuf, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::{ClientRole, Connection, Event};
use tidings_footprint::{Keys, Wire, run};

static mut RX: [u8; 1024] = [0; 1024];
static mut TX: [u8; 1024] = [0; 1024];
static mut CONNECTION: Connection<ClientRole<Keys>> =
    Connection::new(ClientRole(Keys(0)), Limits::new().max_message(800));

#[cortex_m_rt::entry]
fn main() -> ! {
    run(program)
}

fn program(wire: &Wire) {
    // SAFETY: this function runs once, on the only thread.
    let (rx, tx, connection) =
        unsafe { (&mut *(&raw mut RX), &mut *(&raw mut TX), &mut *(&raw mut CONNECTION)) };
    let (mut rx, mut tx) = (RxBuf::new(rx), TxBuf::new(tx));
    wire.object(size_of::<Connection<ClientRole<Keys>>>());
    if connection.send_text("hello", &mut tx).is_err() {
        return;
    }
    loop {
        let step = match connection.handle_input(rx.filled_mut(), &mut tx) {
            Ok(step) => step,
            Err(error) => {
                let _ = connection.fail(error, &mut tx);
                return wire.send(tx.written());
            }
        };
        let consumed = step.consumed;
        let mut wait = false;
        match step.progress {
            Progress::Event(Event::Message { payload, .. }) => {
                wire.event(payload);
                #[cfg(feature = "deliberate")]
                wire.event(&[tidings_footprint::deliberate(payload, consumed)]);
            }
            Progress::Event(Event::Closed { .. }) => return wire.send(tx.written()),
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
                return;
            }
            rx.commit(read);
        }
    }
}
