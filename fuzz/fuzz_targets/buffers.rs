//! The caller's buffers against a model.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(buffers);
