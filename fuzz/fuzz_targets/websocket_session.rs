//! A connection whose peer sends anything.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(websocket_session);
