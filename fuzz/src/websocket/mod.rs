//! Framing: one header, a stream of frames, and connections.

mod cuts;
mod header;
mod hostile;
mod model;
mod pair;
mod stream;

pub use header::frame_header;
pub use pair::websocket_pair;
pub use stream::frame_stream;

use hostile::hostile;
use tidings_core::entropy::Entropy;
use tidings_core::limits::{Limits, Oversize};
use tidings_core::websocket::{ClientRole, Connection, ServerRole};

/// The first two bytes of the input choose role, limits and how the rest is cut; the rest is what the peer of a
/// connection sends.
///
/// Invariant: the connection reports what a straightforward reading of all bytes at once reports, and what it
/// answers is, to a reader in the peer's role, a pong for each ping and one close frame at the end.
pub fn websocket_session(data: &[u8]) {
    let Some((&[settings, cuts], sent)) = data.split_first_chunk::<2>() else { return };
    let limits = limits(settings);
    if settings & 1 == 0 {
        hostile(Connection::new(ServerRole, limits), limits, sent, cuts);
    } else {
        hostile(Connection::new(ClientRole(Counter(settings)), limits), limits, sent, cuts);
    }
}

/// A limit that is often exceeded, one that seldom is, or the default; refused or skipped.
fn limits(settings: u8) -> Limits {
    let limits = match settings >> 2 & 3 {
        0 => Limits::new().max_message(16),
        1 => Limits::new().max_message(300),
        _ => Limits::new(),
    };
    if settings & 2 == 0 { limits } else { limits.oversize(Oversize::Skip) }
}

/// Masking keys that are the same in each run.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(1);
            *byte = self.0;
        }
    }
}
