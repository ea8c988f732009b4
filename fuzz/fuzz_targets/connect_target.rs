//! The target of a connection attempt.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(connect_target);
