//! The apps that a server serves now.
//!
//! The list is made anew for each change and put in the place of the old one at once, so who reads never waits. An
//! app keeps its *place* as long as the server runs, by its id: all that the server knows of an app's channels goes by
//! that number.

use super::{App, AppError};
use crate::server::{AnyKey, Lookups};
use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The newest version of an app, for those who stay while it changes.
pub(crate) type AppSlot = ArcSwap<App>;

/// The apps of a server, found by key (sockets) and by id (HTTP API).
///
/// They can be changed while the server runs, see
/// [`ServerHandle::replace_apps`](crate::ServerHandle::replace_apps). What this type hands out is an app as it was
/// at that moment.
pub struct Apps {
    table: ArcSwap<Table>,
    /// Held while a table is made.
    changing: Mutex<()>,
    any: Option<AnyKey>,
    lookups: Option<Lookups>,
}

/// Which apps a change has concerned, by id, in the order of the new list and then of the old one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppChanges {
    /// Apps that were not there before.
    pub added: Vec<Box<str>>,
    /// Apps that are configured differently now.
    pub changed: Vec<Box<str>>,
    /// Apps that are there no more.
    pub removed: Vec<Box<str>>,
}

impl AppChanges {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// An app that may not be used any more, as it was.
pub(crate) struct Withdrawn {
    pub(crate) app: Arc<App>,
    /// It is gone, not only disabled.
    pub(crate) removed: bool,
}

#[derive(Clone)]
struct Place {
    app: Arc<App>,
    slot: Arc<AppSlot>,
}

#[derive(Clone, Default)]
struct Table {
    /// In the order of the configuration.
    apps: Vec<Arc<App>>,
    /// By place, with what is left of those that were removed.
    places: Vec<Place>,
    by_key: HashMap<Box<str>, Arc<App>>,
    by_id: HashMap<Box<str>, Arc<App>>,
    /// Places by id, of removed apps too.
    place_of: HashMap<Box<str>, u32>,
    development: bool,
}

/// The apps as they are at one moment. It is for a short while: a server that changes its apps often would keep
/// old lists for it.
pub(crate) struct AppsNow<'a> {
    table: Guard<Arc<Table>>,
    any: Option<&'a AnyKey>,
}

impl AppsNow<'_> {
    /// The app at this place; one that was removed is disabled and has no key.
    pub(crate) fn get(&self, index: u32) -> Option<&Arc<App>> {
        match self.any {
            Some(any) if index >= AnyKey::FIRST => any.get(index),
            _ => self.table.places.get(index as usize).map(|place| &place.app),
        }
    }
}

/// What is left of an app that was removed: nobody can use it, and what is on its way finds it.
fn remains(app: &App) -> App {
    let mut remains = App::new(app.id.clone(), "", "");
    remains.enabled = false;
    remains.cache_ttl = Duration::ZERO;
    remains.index = app.index;
    remains.live = Arc::clone(&app.live);
    remains.outlet = remains.outlet.taking_over(&app.outlet);
    remains
}

impl Table {
    /// The table with these apps in place of its own.
    fn with(&self, apps: Vec<App>, development: bool) -> Result<(Self, AppChanges), AppError> {
        let mut next = Self {
            places: self.places.clone(),
            place_of: self.place_of.clone(),
            development,
            ..Self::default()
        };
        let mut changes = AppChanges::default();
        for app in apps {
            check(&app)?;
            let app = match self.by_id.get(&app.id) {
                Some(old) if old.is_configured_as(&app) => Arc::clone(old),
                old => {
                    let list =
                        if old.is_some() { &mut changes.changed } else { &mut changes.added };
                    list.push(app.id.clone());
                    next.settle(app)?
                }
            };
            if next.by_id.insert(app.id.clone(), Arc::clone(&app)).is_some() {
                return Err(AppError::DuplicateId { id: app.id.clone() });
            }
            if let Some(other) = next.by_key.insert(app.key.clone(), Arc::clone(&app)) {
                let (key, second) = (app.key.clone(), app.id.clone());
                return Err(AppError::DuplicateKey { key, first: other.id.clone(), second });
            }
            next.apps.push(app);
        }
        for app in self.apps.iter().filter(|app| !next.by_id.contains_key(&app.id)) {
            changes.removed.push(app.id.clone());
            if let Some(place) = next.places.get_mut(app.index as usize) {
                place.app = Arc::new(remains(app));
            }
        }
        Ok((next, changes))
    }

    /// Gives an app its place and what an earlier version of it leaves.
    fn settle(&mut self, mut app: App) -> Result<Arc<App>, AppError> {
        app.ready()?;
        let end = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        app.index = *self.place_of.entry(app.id.clone()).or_insert(end);
        if let Some(place) = self.places.get_mut(app.index as usize) {
            app.live = Arc::clone(&place.app.live);
            app.outlet = app.outlet.taking_over(&place.app.outlet);
            place.app = Arc::new(app);
            return Ok(Arc::clone(&place.app));
        }
        let app = Arc::new(app);
        let slot = Arc::new(AppSlot::new(Arc::clone(&app)));
        self.places.push(Place { app: Arc::clone(&app), slot });
        Ok(app)
    }
}

impl Apps {
    /// Takes the apps as they are.
    ///
    /// # Errors
    ///
    /// When an id, key or secret is empty, an id or key holds a character that a URL path would
    /// have to escape, two apps have the same id or key, or a webhook cannot be sent to.
    pub fn new(apps: Vec<App>) -> Result<Self, AppError> {
        Self::of(apps, false)
    }

    fn of(apps: Vec<App>, development: bool) -> Result<Self, AppError> {
        let (table, _) = Table::default().with(apps, development)?;
        Ok(Self::of_table(table))
    }

    fn of_table(table: Table) -> Self {
        let (table, changing) = (ArcSwap::from_pointee(table), Mutex::default());
        Self { table, changing, any: None, lookups: None }
    }

    /// The one app of [`App::development`].
    #[must_use]
    pub fn development() -> Self {
        // The app is a good one, so the list of it is too.
        Self::of(vec![App::development()], true)
            .unwrap_or_else(|_| Self::of_table(Table { development: true, ..Table::default() }))
    }

    /// The development app with other rules.
    #[cfg(feature = "cli")]
    pub(crate) fn development_with(app: App) -> Result<Self, AppError> {
        Self::of(vec![app], true)
    }

    /// Changes the list. `make` is given the apps that there are, for it to copy from. Beside what has changed it tells
    /// which apps may not be used any more.
    pub(crate) fn change(
        &self,
        make: impl FnOnce(&[Arc<App>], bool) -> (Vec<App>, bool),
    ) -> Result<(AppChanges, Vec<Withdrawn>), AppError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.table.load_full();
        let (apps, development) = make(&old.apps, old.development);
        let (new, changes) = old.with(apps, development)?;
        let new = Arc::new(new);
        self.table.store(Arc::clone(&new));
        for place in &new.places {
            if !Arc::ptr_eq(&place.slot.load(), &place.app) {
                place.slot.store(Arc::clone(&place.app));
            }
        }
        let withdrawn = old.apps.iter().filter_map(|app| match new.by_id.get(&app.id) {
            None => Some(Withdrawn { app: Arc::clone(app), removed: true }),
            Some(now) => {
                let off = app.enabled && !now.enabled;
                off.then(|| Withdrawn { app: Arc::clone(app), removed: false })
            }
        });
        Ok((changes, withdrawn.collect()))
    }

    /// Lets every key that is not in the list be one of an app that is made on the fly.
    pub(crate) fn with_any_key(mut self) -> Self {
        self.any = Some(AnyKey::default());
        self
    }

    /// Lets apps be looked up that are not in the list.
    pub(crate) fn with_lookups(mut self, lookups: Lookups) -> Self {
        self.lookups = Some(lookups);
        self
    }

    /// The way to apps that are not in the list, where there is one.
    pub(crate) const fn lookups(&self) -> Option<&Lookups> {
        self.lookups.as_ref()
    }

    /// What dev mode adds.
    pub(crate) const fn any_key(&self) -> Option<&AnyKey> {
        self.any.as_ref()
    }

    /// The apps by place, without a copy.
    pub(crate) fn now(&self) -> AppsNow<'_> {
        AppsNow { table: self.table.load(), any: self.any.as_ref() }
    }

    /// The app with this key. In dev mode, where no app has it, one is made.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<Arc<App>> {
        let configured = || self.table.load().by_key.get(key).map(Arc::clone);
        let Some(any) = &self.any else { return configured() };
        if any.is_retired(key) {
            return None;
        }
        configured().or_else(|| any.app(key).map(Arc::clone))
    }

    /// Whether a configured app has this key.
    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.table.load().by_key.contains_key(key)
    }

    /// The app with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<Arc<App>> {
        let configured = self.table.load().by_id.get(id).map(Arc::clone);
        configured.or_else(|| self.any.as_ref()?.existing(id).map(Arc::clone))
    }

    /// The app at this place; one that was removed is disabled and has no key.
    pub(crate) fn get(&self, index: u32) -> Option<Arc<App>> {
        self.now().get(index).map(Arc::clone)
    }

    /// What shows each version of an app to who stays.
    pub(crate) fn slot_of(&self, app: &Arc<App>) -> Arc<AppSlot> {
        let table = self.table.load();
        match table.places.get(app.index as usize) {
            Some(place) => Arc::clone(&place.slot),
            None => Arc::new(AppSlot::new(Arc::clone(app))), // an app made on the fly does not change
        }
    }

    /// All apps, in the order of the configuration; behind them those made on the fly in dev mode.
    pub fn iter(&self) -> impl Iterator<Item = Arc<App>> {
        let mut apps = self.table.load().apps.clone();
        apps.extend(self.any.iter().flat_map(AnyKey::iter).map(Arc::clone));
        apps.into_iter()
    }

    /// How many apps are configured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.load().apps.len()
    }

    /// Whether there is no app, so that every client is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.load().apps.is_empty()
    }

    /// Whether this is the development app, whose secret everyone knows.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.table.load().development
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn check(app: &App) -> Result<(), AppError> {
    for (field, value) in [("id", &app.id), ("key", &app.key), ("secret", &app.secret.0)] {
        if value.is_empty() {
            return Err(AppError::Empty { id: app.id.clone(), field });
        }
    }
    for (field, value) in [("id", &app.id), ("key", &app.key)] {
        if !is_plain(value) {
            return Err(AppError::NotInPath { field, value: value.clone() });
        }
    }
    Ok(())
}

/// Whether a text holds nothing that a URL path would have to escape.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
}

#[cfg(test)]
#[path = "apps_tests.rs"]
mod tests;
