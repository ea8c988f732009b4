//! Apps that come into being when somebody names their key.

use crate::app::App;
use hashbrown::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Apps that can be made on the fly.
const MAX_APPS: usize = 256;

/// The longest key that is taken for one.
const MAX_KEY: usize = 128;

/// Makes an app for each key, once.
pub(crate) struct AnyKey {
    slots: Box<[OnceLock<Arc<App>>]>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    places: HashMap<Box<str>, usize>,
    retired: HashSet<Box<str>>,
}

impl std::fmt::Debug for AnyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for AnyKey {
    fn default() -> Self {
        let slots = (0..MAX_APPS).map(|_| OnceLock::new()).collect();
        Self { slots, known: Mutex::default() }
    }
}

impl AnyKey {
    /// The place of the first of them, far behind those of configured apps.
    pub(crate) const FIRST: u32 = 1 << 31;

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app of a key, made if it is the first time; `None` when there are too many, or the key
    /// could not stand in a URL.
    pub(crate) fn app(&self, key: &str) -> Option<&Arc<App>> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(plain) {
            return None;
        }
        let mut known = self.known();
        let place = match known.places.get(key) {
            Some(place) => *place,
            None if known.places.len() < self.slots.len() => {
                let place = known.places.len();
                known.places.insert(key.into(), place);
                place
            }
            None => {
                tracing::warn!(key, "there are {MAX_APPS} apps made on the fly already");
                return None;
            }
        };
        let slot = self.slots.get(place)?;
        let index = Self::FIRST.saturating_add(u32::try_from(place).unwrap_or(u32::MAX));
        Some(slot.get_or_init(|| {
            tracing::info!(target: crate::server::STEPS, key, "app made on the fly");
            Arc::new(App::trusting(key, index))
        }))
    }

    /// The app at a place of the list of all apps.
    pub(crate) fn get(&self, index: u32) -> Option<&Arc<App>> {
        self.slots.get(index.checked_sub(Self::FIRST)? as usize)?.get()
    }

    /// The app with this id, which is its key, if it is there already.
    pub(crate) fn existing(&self, id: &str) -> Option<&Arc<App>> {
        let place = *self.known().places.get(id)?;
        self.slots.get(place)?.get()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<App>> {
        self.slots.iter().map_while(OnceLock::get)
    }

    pub(crate) fn is_retired(&self, key: &str) -> bool {
        self.known().retired.contains(key)
    }

    pub(crate) fn retire(&self, key: &str) {
        self.known().retired.insert(key.into());
    }

    pub(crate) fn restore(&self) {
        self.known().retired.clear();
    }

    /// The keys that have been retired, sorted.
    pub(crate) fn retired(&self) -> Vec<Box<str>> {
        let mut keys: Vec<_> = self.known().retired.iter().cloned().collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_app_for_good_and_bad_ones_are_none() {
        let any = AnyKey::default();
        let first = any.app("k").unwrap();
        assert!(Arc::ptr_eq(first, any.app("k").unwrap()));
        assert!(Arc::ptr_eq(first, any.get(AnyKey::FIRST).unwrap()));
        assert!(Arc::ptr_eq(first, any.existing("k").unwrap()));
        assert!(any.existing("other").is_none());
        for bad in ["", "a b", "a/b", &"x".repeat(MAX_KEY + 1)] {
            assert!(any.app(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn there_is_a_bound_and_those_that_are_there_stay() {
        let any = AnyKey::default();
        for n in 0..MAX_APPS {
            assert!(any.app(&n.to_string()).is_some());
        }
        assert!(any.app("more").is_none());
        assert!(any.app("0").is_some());
        assert_eq!(any.iter().count(), MAX_APPS);
    }
}
