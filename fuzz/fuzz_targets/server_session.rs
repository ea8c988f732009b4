//! The server's end of a connection, with operations and cuts.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(server_session);
