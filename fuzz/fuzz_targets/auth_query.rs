//! Signed requests.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(auth_query);
