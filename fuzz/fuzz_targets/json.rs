//! JSON text against `serde_json`.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(json);
