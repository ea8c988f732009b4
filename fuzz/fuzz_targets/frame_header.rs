//! Any bytes as a frame header.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(frame_header);
