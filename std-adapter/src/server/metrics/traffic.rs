//! What goes through the sockets of one app on one shard.

use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidings_core::io::Parse;
use tidings_core::websocket::Header;

macro_rules! traffic {
    ($($(#[$meta:meta])* $field:ident,)*) => {
        /// Counters of one app on one shard, for that shard's thread alone.
        #[derive(Debug, Default)]
        pub(crate) struct Traffic {
            $($(#[$meta])* pub(crate) $field: Cell<u64>,)*
        }

        /// What [`Traffic`] has counted.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct TrafficCounts {
            $($(#[$meta])* pub(crate) $field: u64,)*
        }

        impl Traffic {
            pub(crate) fn counts(&self) -> TrafficCounts {
                TrafficCounts { $($field: self.$field.get(),)* }
            }
        }

        impl TrafficCounts {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.wrapping_add(other.$field);)*
            }
        }
    };
}

traffic! {
    /// Sockets that have been let in.
    connected,
    /// Sockets that have ended.
    disconnected,
    /// Bytes that sockets have sent, after the opening handshake.
    received_bytes,
    /// Frames that sockets have sent, pings and closes included.
    received_frames,
    /// Bytes written to sockets or queued for them, the answer to the opening handshake included.
    sent_bytes,
    /// Frames written to sockets or queued for them.
    sent_frames,
    /// Events published by the application, once for each channel, counted where the channel is at home.
    application_events,
    /// Events published by clients, counted there as well.
    client_events,
}

/// Adds to a counter.
pub(crate) fn count(counter: &Cell<u64>, more: usize) {
    counter.set(counter.get().wrapping_add(more as u64));
}

impl Traffic {
    /// Counts whole frames that one socket gets.
    pub(crate) fn sent(&self, frames: &[u8]) {
        count(&self.sent_bytes, frames.len());
        count(&self.sent_frames, frames_in(frames));
    }
}

/// How many frames there are, one behind the other.
fn frames_in(mut bytes: &[u8]) -> usize {
    let mut frames = 0;
    while let Ok(Parse::Done { value, consumed }) = Header::parse(bytes) {
        frames += 1;
        let end = usize::try_from(value.len).ok().and_then(|len| consumed.checked_add(len));
        bytes = end.and_then(|end| bytes.get(end..)).unwrap_or_default();
    }
    frames
}

/// The counters of all apps on one shard, by the app's place.
#[derive(Debug, Default)]
pub(crate) struct Ledger(RefCell<HashMap<u32, Rc<Traffic>>>);

impl Ledger {
    /// The counters of an app.
    pub(crate) fn of(&self, app: u32) -> Rc<Traffic> {
        Rc::clone(self.0.borrow_mut().entry(app).or_default())
    }

    /// What has been counted, by the app's place.
    pub(crate) fn counts(&self) -> HashMap<u32, TrafficCounts> {
        self.0.borrow().iter().map(|(app, traffic)| (*app, traffic.counts())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_whatever_their_length() {
        let long = [&[0x82, 126, 1, 0][..], &[0; 256]].concat();
        for (bytes, frames) in [
            (&b""[..], 0),
            (b"\x81\x01a", 1),
            (b"\x81\x01a\x8a\x00\x81\x02bc", 3),
            (&[&long[..], b"\x81\x01a"].concat(), 2),
        ] {
            assert_eq!(frames_in(bytes), frames);
        }
    }

    #[test]
    fn apps_are_counted_apart() {
        let ledger = Ledger::default();
        ledger.of(3).sent(b"\x81\x01a");
        count(&ledger.of(1).connected, 2);
        let counts = ledger.counts();
        assert_eq!((counts.len(), counts[&1].connected, counts[&3].sent_bytes), (2, 2, 3));
    }
}
