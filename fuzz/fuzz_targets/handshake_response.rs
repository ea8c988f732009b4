//! The answer to a client's handshake.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(handshake_response);
