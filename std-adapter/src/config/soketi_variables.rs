//! Variables of Soketi that say something together only.

use std::collections::BTreeMap;

/// Those of a group that are set, by their names without `SOKETI_`.
pub(super) struct Variables {
    known: &'static [&'static str],
    set: BTreeMap<&'static str, String>,
}

impl Variables {
    /// A group of these names, with none of them set.
    pub(super) const fn of(known: &'static [&'static str]) -> Self {
        Self { known, set: BTreeMap::new() }
    }

    /// Takes a variable if it is one of these.
    pub(super) fn take(&mut self, name: &str, value: &str) -> bool {
        let Some(name) = self.known.iter().find(|known| **known == name) else { return false };
        self.set.insert(name, value.to_owned());
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// A value, without the quotes of JSON; `null` is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|value| value.trim_matches('"')).filter(|value| *value != "null")
    }

    /// Says of variables that nothing here is for them.
    pub(super) fn unused(&self, is_unused: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.set.keys().filter(|name| is_unused(name));
        names.map(|name| format!("SOKETI_{name} has no equal in tidings and is ignored")).collect()
    }
}
