//! The head of a request, against `httparse`.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(handshake_request);
