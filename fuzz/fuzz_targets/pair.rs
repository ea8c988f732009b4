//! A client's machine against servers' machines, over a network that breaks.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(pair);
