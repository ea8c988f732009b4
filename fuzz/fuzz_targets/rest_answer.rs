//! The answer to a publish request.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(rest_answer);
