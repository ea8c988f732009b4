//! Fuzz targets: what each of them asserts, and how they are run.
//!
//! A target is a hook here, `fn(&[u8])`, which panics when its invariant is broken. `fuzz_targets/NAME.rs` only
//! names it with [`target!`], and [`TARGETS`] lists it, so that the same hook runs in three ways:
//!
//! - `cargo test -p tidings-fuzz` replays `seeds/NAME/*`, and so does `cargo run -p tidings-fuzz --bin NAME`, which
//!   takes other files and folders as arguments;
//! - `tests/run fuzz` also fuzzes each target for ten seconds, on the stable toolchain;
//! - `cargo fuzz run NAME`, with a nightly toolchain, fuzzes for as long as you like.
//!
//! To add a target: the hook, a line in `TARGETS`, `fuzz_targets/NAME.rs`, a `[[bin]]` in the manifest, and seeds that
//! `seeds/README.md` explains. A test tells what is missing.

mod auth;
mod handshake;
mod io;
mod json;
mod pusher;
pub mod replay;
mod websocket;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

pub use auth::auth_query;
pub use handshake::{handshake_request, handshake_response};
pub use io::buffers;
pub use json::{channel_name, json};
pub use pusher::{
    client_session, connect_target, pair, rest_answer, server_message, server_session,
};
pub use websocket::{frame_header, frame_stream, websocket_pair, websocket_session};

/// What a target does with one input; it panics when the invariant does not hold.
pub type Hook = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Hook)] = &[
    ("auth_query", auth_query),
    ("buffers", buffers),
    ("channel_name", channel_name),
    ("client_session", client_session),
    ("connect_target", connect_target),
    ("frame_header", frame_header),
    ("frame_stream", frame_stream),
    ("handshake_request", handshake_request),
    ("handshake_response", handshake_response),
    ("json", json),
    ("pair", pair),
    ("rest_answer", rest_answer),
    ("server_message", server_message),
    ("server_session", server_session),
    ("websocket_pair", websocket_pair),
    ("websocket_session", websocket_session),
];

/// Makes the program of one target: a libFuzzer one under `cfg(fuzzing)`, else one that replays files.
#[macro_export]
macro_rules! target {
    ($hook:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$hook(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay::main(stringify!($hook), $crate::$hook)
        }
    };
}
