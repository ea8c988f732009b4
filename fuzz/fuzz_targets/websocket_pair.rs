//! A client and a server that talk to each other.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(websocket_pair);
