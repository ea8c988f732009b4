//! The client's channels: a table that grows, with an index by name.

use std::collections::HashMap;
use std::sync::Arc;

use tidings_core::entropy::Entropy;
use tidings_core::pusher::client::{Slot, Table};

/// The core's machine as it is used here.
pub(super) type Machine = tidings_core::pusher::client::Client<Random, Names>;

/// Slots in a vector; a name is found by its hash.
#[derive(Debug, Default)]
pub(super) struct Names {
    slots: Vec<Slot<Arc<str>>>,
    /// The names as the index has them, to take the old one out when a place changes hands.
    indexed: Vec<Option<Arc<str>>>,
    places: HashMap<Arc<str>, usize>,
}

impl Table for Names {
    type Name = Arc<str>;

    fn slots(&self) -> &[Slot<Arc<str>>] {
        &self.slots
    }

    fn slots_mut(&mut self) -> &mut [Slot<Arc<str>>] {
        &mut self.slots
    }

    fn grow(&mut self) -> bool {
        self.slots.push(Slot::new());
        self.indexed.push(None);
        true
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    fn changed(&mut self, place: usize) {
        let name = self.slots.get(place).and_then(Slot::name).cloned();
        let Some(indexed) = self.indexed.get_mut(place) else { return };
        if let Some(old) = indexed.take() {
            self.places.remove(&old);
        }
        if let Some(name) = &name {
            self.places.insert(Arc::clone(name), place);
        }
        *indexed = name;
    }
}

/// The system's generator.
#[derive(Debug)]
pub(super) struct Random;

impl Random {
    /// A number for jitter.
    pub(super) fn number() -> u32 {
        let mut bytes = [0; 4];
        Self.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }
}

impl Entropy for Random {
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            // Zeros would be a mask that anyone can foresee, and the system promises not to come here.
            panic!("the system has no random numbers: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::io::TxBuf;

    use super::*;

    #[test]
    fn names_are_found_until_their_channel_is_given_up() {
        let mut machine = Machine::new(Random, Names::default());
        let mut tx = TxBuf::new(&mut []);
        let ids: Vec<_> =
            (0..1000).map(|i| machine.subscribe(format!("c{i}").into()).unwrap()).collect();
        assert_eq!(machine.table().find("c999"), Some(999));
        assert_eq!(machine.table().find("c1000"), None);
        machine.unsubscribe(ids[7], &mut tx).unwrap();
        assert_eq!(machine.table().find("c7"), None);
        let again = machine.subscribe("other".into()).unwrap();
        assert_eq!(again.index(), 7, "the place is used again");
        assert_ne!(again, ids[7]);
        assert_eq!(machine.table().find("other"), Some(7));
        assert_eq!(machine.table().slots().len(), 1000);
    }
}
