//! Any stream through the decoder, against a model.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(frame_stream);
