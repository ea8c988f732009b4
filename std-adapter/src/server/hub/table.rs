//! A table of channels: found by app and name without an allocation, addressed by a small index.

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;
use std::hash::BuildHasher as _;

/// Hashes channel names with a seed that peers cannot know; every shard uses the same one, so that
/// the hash also says where a channel is at home.
#[derive(Clone, Default)]
pub(crate) struct Hasher(DefaultHashBuilder);

impl Hasher {
    pub(crate) fn hash(&self, app: u32, name: &[u8]) -> u64 {
        self.0.hash_one((app, name))
    }
}

/// The full name of a channel, as messages between shards carry it.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) app: u32,
    pub(crate) hash: u64,
    pub(crate) name: &'a [u8],
}

pub(crate) struct Slot<T> {
    pub(crate) app: u32,
    pub(crate) hash: u64,
    pub(crate) name: Box<[u8]>,
    pub(crate) value: T,
}

impl<T> Slot<T> {
    pub(crate) fn name_text(&self) -> &str {
        std::str::from_utf8(&self.name).unwrap_or_default()
    }
}

pub(crate) struct Table<T> {
    index: HashTable<u32>,
    slots: Slab<Slot<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { index: HashTable::new(), slots: Slab::new() }
    }
}

impl<T> Table<T> {
    pub(crate) fn find(&self, key: Key<'_>) -> Option<u32> {
        self.index
            .find(key.hash, |&at| {
                self.slots
                    .get(at as usize)
                    .is_some_and(|slot| slot.app == key.app && *slot.name == *key.name)
            })
            .copied()
    }

    pub(crate) fn find_or_insert(&mut self, key: Key<'_>, make: impl FnOnce() -> T) -> u32 {
        if let Some(at) = self.find(key) {
            return at;
        }
        let slot = Slot { app: key.app, hash: key.hash, name: key.name.into(), value: make() };
        // Four billion channels do not fit in memory, so an index never exceeds 32 bits.
        let at = u32::try_from(self.slots.insert(slot)).unwrap_or(u32::MAX);
        let slots = &self.slots;
        self.index.insert_unique(key.hash, at, |&at| slots.get(at as usize).map_or(0, |s| s.hash));
        at
    }

    pub(crate) fn get(&self, at: u32) -> Option<&Slot<T>> {
        self.slots.get(at as usize)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(at as usize)
    }

    /// Removes a channel; the tables shrink again when most of them has become empty.
    pub(crate) fn remove(&mut self, at: u32) {
        let Some(slot) = self.slots.try_remove(at as usize) else { return };
        if let Ok(entry) = self.index.find_entry(slot.hash, |&found| found == at) {
            entry.remove();
        }
        if self.slots.is_empty() && self.slots.capacity() > 1024 {
            *self = Self::default();
        } else if self.index.capacity() > 1024 && self.index.len() < self.index.capacity() / 8 {
            let slots = &self.slots;
            let hash = |at: &u32| slots.get(*at as usize).map_or(0, |s: &Slot<T>| s.hash);
            self.index.shrink_to(self.index.len() * 2, hash);
            self.slots.shrink_to_fit();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.index.is_empty()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot<T>> {
        self.slots.iter().map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<'a>(hasher: &Hasher, app: u32, name: &'a str) -> Key<'a> {
        Key { app, hash: hasher.hash(app, name.as_bytes()), name: name.as_bytes() }
    }

    #[test]
    fn the_same_name_in_two_apps_is_two_channels() {
        let (hasher, mut table) = (Hasher::default(), Table::default());
        let first = table.find_or_insert(key(&hasher, 0, "a"), || 1);
        let second = table.find_or_insert(key(&hasher, 1, "a"), || 2);
        assert_ne!(first, second);
        assert_eq!(table.find_or_insert(key(&hasher, 0, "a"), || 3), first);
        table.remove(first);
        assert_eq!(table.find(key(&hasher, 0, "a")), None);
        assert_eq!(table.find(key(&hasher, 1, "a")), Some(second));
    }

    #[test]
    fn empty_tables_give_their_memory_back() {
        let (hasher, mut table) = (Hasher::default(), Table::default());
        let names: Vec<String> = (0..10_000).map(|n| format!("channel-{n}")).collect();
        let at: Vec<u32> =
            names.iter().map(|n| table.find_or_insert(key(&hasher, 0, n), || ())).collect();
        at.iter().for_each(|&at| table.remove(at));
        assert_eq!(table.len(), 0);
        assert!(table.index.capacity() <= 2048 && table.slots.capacity() <= 2048);
    }
}
