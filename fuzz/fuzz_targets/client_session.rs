//! The client's end of a connection, with operations and cuts.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(client_session);
