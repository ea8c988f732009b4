//! What a client reads from a server.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(server_message);
