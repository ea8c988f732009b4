//! Realtime channels without I/O.
//!
//! Bytes and time go in, bytes and events come out: this crate opens no socket, starts no timer,
//! allocates nothing and does not panic. The same code runs in a microcontroller's firmware, behind
//! a server's 100,000 sockets and under a fuzzer.
//!
//! Each layer stands on the one below it and can be used alone:
//!
//! | layer | what it does |
//! |---|---|
//! | [`pusher`] | the Pusher Channels protocol, version 7: messages, codes, both ends of a connection |
//! | [`channel`], [`auth`], [`json`] | what the dialects share: names, signatures, JSON text |
//! | [`websocket`] | RFC 6455 for both roles |
//! | [`io`], [`time`], [`entropy`], [`limits`], [`error`] | the ground |
//!
//! # The step
//!
//! A machine has one method for input, shaped like this:
//!
//! ```text
//! handle_input(now, &mut input, &mut tx) -> Result<Step<Event>, PeerError>
//! ```
//!
//! One call does at most one frame's work. The [`Step`](io::Step) says how many bytes to drop from the
//! front of `input`, and either carries an event that borrows from `input`, or says what is missing:
//! more input, or room in `tx`. Replies are already in `tx` when the call returns; nothing is queued
//! inside. Room is checked before work, so a step that asks for room has changed nothing.
//!
//! # The feature `small`
//!
//! For a device with little flash. Every rule of the protocol is checked as without it; what it gives up is:
//!
//! - a close frame that is written for an error has its code and no words,
//! - the reason in the peer's close frame is checked and not handed out: it is always empty,
//! - the short way for a message that is one frame and all there: parsing takes more instructions,
//! - the word-wise look for ASCII: UTF-8 is checked byte by byte,
//! - masking word by word, and JSON text in runs: both go byte by byte,
//! - lengths of 64 bits: a frame or a message of 4 GiB ends the connection, also where longer messages are to be skipped,
//! - the crates for SHA-256 and HMAC in signatures: hashing takes a smaller loop here, and more time,
//! - mistakes in the head of a response are noticed when their line has ended.
//!
//! # The feature `client-basic`
//!
//! `client` is the whole client. `client-basic` alone is one for a device that needs channels and their events: presence lists,
//! sign-in, watchlists, cache misses and counts are messages that it ignores, and of a message it looks only at the members
//! that it reads, so that not all that is no JSON is [unreadable](pusher::client::ClientEvent::Unreadable).
//!
//! Cargo joins the features of all who use a crate, so only the final program should choose `small`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::alloc_instead_of_core,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::std_instead_of_core,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm
    )
)]

#[cfg(test)]
extern crate std;

pub mod auth;
pub mod channel;
pub mod entropy;
pub mod error;
#[cfg(any(test, feature = "client-basic", feature = "server", feature = "small"))]
mod hash;
pub mod io;
pub mod json;
pub mod limits;
pub mod pusher;
#[cfg(feature = "client-basic")]
pub mod reconnect;
pub mod time;
pub mod websocket;
