//! The Pusher Channels protocol, version 7.
