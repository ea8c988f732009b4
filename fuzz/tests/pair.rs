//! The client's machine against the server's, over random networks.

use proptest::prelude::*;

/// An operation, with those that move bytes as often as all others together.
fn operation() -> impl Strategy<Value = [u8; 2]> {
    let moves = prop_oneof![
        Just([1, 255]),
        Just([2, 255]),
        (1u8..3, 0u8..90).prop_map(|(code, n)| [code, n])
    ];
    prop_oneof![moves, (0u8..13, any::<u8>()).prop_map(|(code, n)| [code, n])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn after_the_network_heals_every_subscription_is_in_force_once(
        operations in prop::collection::vec(operation(), 0..150),
    ) {
        tidings_fuzz::pair(&operations.concat());
    }
}
