//! Who is being looked up, who waits for it, and which names are known to be of no app.

use super::{AppFinder, AppName};
use crate::app::{Rate, is_plain};
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Look-ups that may be under way at once.
const MAX_AT_ONCE: usize = 16;

/// Names that are remembered to be of no app.
const MAX_UNKNOWN: usize = 10_000;

/// Characters of a name that is looked up; columns of databases hold no more.
const MAX_NAME: usize = 255;

/// How often it is told that too many unknown apps are named.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What came of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the table now.
    Known,
    /// There is no such app.
    Unknown,
    /// Too many are looked up already.
    Busy,
    /// It could not be asked, or gave no answer in time.
    Unreachable,
}

impl Verdict {
    /// What who asks is told where nobody knows whether the app is there; `None` when that is known.
    pub(crate) const fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Known | Self::Unknown => None,
            Self::Busy => Some("too many unknown apps are being looked up: try again"),
            Self::Unreachable => Some(
                "the app is not known here, and where apps are kept cannot be asked: try again",
            ),
        }
    }
}

/// What the thread that asks is told.
pub(crate) enum Wanted {
    App(AppName),
    End,
}

/// The look-ups of a server.
#[derive(Debug)]
pub(crate) struct Lookups {
    state: Mutex<State>,
    rate: Rate,
    max_per_second: u32,
    unknown_for: Duration,
    wanted: mpsc::UnboundedSender<Wanted>,
    began: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// What is being looked up, with those who wait.
    asked: HashMap<AppName, watch::Sender<Option<Verdict>>>,
    unknown: Unknown,
    /// Nobody asks any more.
    ended: bool,
    /// When it was told that there are too many.
    told_busy: Option<Instant>,
}

/// Names of no app, for a while.
#[derive(Debug, Default)]
struct Unknown {
    names: HashSet<AppName>,
    /// With the end of their time, in its order.
    order: VecDeque<(Instant, AppName)>,
}

impl Unknown {
    fn holds(&mut self, name: &AppName, now: Instant) -> bool {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_first();
        }
        self.names.contains(name)
    }

    fn note(&mut self, name: AppName, until: Instant) {
        if self.names.insert(name.clone()) {
            self.order.push_back((until, name));
        }
        if self.order.len() > MAX_UNKNOWN {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.names.remove(&name);
        }
    }
}

impl Lookups {
    /// The look-ups of a finder, and what the thread that asks takes.
    pub(crate) fn new(finder: &AppFinder) -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (wanted, taken) = mpsc::unbounded_channel();
        let lookups = Self {
            state: Mutex::default(),
            rate: Rate::default(),
            max_per_second: finder.max_per_second,
            unknown_for: finder.unknown_for,
            wanted,
            began: Instant::now(),
        };
        (lookups, taken)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up an app that the table does not know. It may be dropped at any time; who else waits for the same app is
    /// not concerned.
    pub(crate) async fn ask(&self, name: AppName) -> Verdict {
        let mut answer = match self.begin(name, Instant::now()) {
            Ok(answer) => answer,
            Err(verdict) => return verdict,
        };
        let answered = answer.wait_for(Option::is_some).await;
        answered.ok().and_then(|verdict| *verdict).unwrap_or(Verdict::Unreachable)
    }

    /// Takes part in the look-up of an app, or says why there is none.
    fn begin(
        &self,
        name: AppName,
        now: Instant,
    ) -> Result<watch::Receiver<Option<Verdict>>, Verdict> {
        if name.text().len() > MAX_NAME || name.text().is_empty() || !is_plain(name.text()) {
            return Err(Verdict::Unknown);
        }
        let mut state = self.state();
        if state.ended {
            return Err(Verdict::Unreachable);
        }
        if state.unknown.holds(&name, now) {
            return Err(Verdict::Unknown);
        }
        if let Some(asked) = state.asked.get(&name) {
            return Ok(asked.subscribe());
        }
        let since = now.saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        if state.asked.len() >= MAX_AT_ONCE
            || self.rate.take(1, self.max_per_second, since).exceeded
        {
            if state.told_busy.is_none_or(|told| now.saturating_duration_since(told) >= TELL_AGAIN)
            {
                state.told_busy = Some(now);
                tracing::warn!(
                    "more unknown apps are named than are looked up ({MAX_AT_ONCE} at once, {} in a second): those \
                     who name others are told to try again",
                    self.max_per_second
                );
            }
            return Err(Verdict::Busy);
        }
        let (sender, answer) = watch::channel(None);
        state.asked.insert(name.clone(), sender);
        if self.wanted.send(Wanted::App(name)).is_err() {
            return Err(Verdict::Unreachable);
        }
        Ok(answer)
    }

    /// Tells all who wait for an app what came of it.
    pub(super) fn settle(&self, name: &AppName, verdict: Verdict) {
        let mut state = self.state();
        if verdict == Verdict::Unknown {
            state.unknown.note(name.clone(), Instant::now() + self.unknown_for);
        }
        if let Some(waiting) = state.asked.remove(name) {
            waiting.send_replace(Some(verdict));
        }
    }

    /// Lets the thread that asks end.
    pub(crate) fn end(&self) {
        let _ = self.wanted.send(Wanted::End); // it has ended by itself
    }

    /// Tells all who wait that nobody asks any more.
    pub(super) fn ended(&self) {
        let mut state = self.state();
        state.ended = true;
        for (_, waiting) in state.asked.drain() {
            waiting.send_replace(Some(Verdict::Unreachable));
        }
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
