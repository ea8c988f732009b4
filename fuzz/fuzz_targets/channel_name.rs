//! Channel names against a plain statement of the rule.
#![cfg_attr(fuzzing, no_main)]

tidings_fuzz::target!(channel_name);
