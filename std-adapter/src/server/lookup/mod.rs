//! Apps that are not in the table: looked up when somebody names one, before it is refused.
//!
//! Who serves apps that are kept elsewhere reads the list of them now and then, and what was added since would be unknown
//! until the next time. Only who names an unknown app comes here, so that nobody else pays for it: all that is shared is
//! behind one lock. A thread of its own asks, one question for all who name the same app, and puts in what it finds.

mod book;
mod run;

pub(crate) use book::{Lookups, Verdict, Wanted};
pub(super) use run::run;

use crate::app::App;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// What names an app where it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AppName {
    /// Its id, as paths of the HTTP API have it.
    Id(Box<str>),
    /// Its key, as sockets have it.
    Key(Box<str>),
}

impl AppName {
    /// The id or the key.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Key(text) => text,
        }
    }

    /// Whether it names this app.
    #[must_use]
    pub fn is_of(&self, app: &App) -> bool {
        match self {
            Self::Id(id) => *id == app.id,
            Self::Key(key) => *key == app.key,
        }
    }
}

/// Why an app could not be looked up.
type FindError = Box<dyn Error + Send + Sync>;

type Finding = Pin<Box<dyn Future<Output = Result<Option<App>, FindError>> + Send>>;

/// Looks an app up that the server does not know, when a client or a publisher names it; for
/// [`ServerBuilder::find_apps`](crate::ServerBuilder::find_apps).
///
/// ```no_run
/// use tidings::{App, AppFinder, AppName, Server};
///
/// # async fn secret_of(key: &str) -> Result<Option<String>, std::io::Error> { Ok(None) }
/// let finder = AppFinder::new(|name: AppName| async move {
///     let AppName::Key(key) = name else { return Ok(None) };
///     let secret = secret_of(&key).await?;
///     Ok(secret.map(|secret| App::new(format!("id-of-{key}"), key, secret)))
/// });
/// let server = Server::builder().find_apps(finder).listen("127.0.0.1:0").start()?;
/// # Ok::<(), tidings::StartError>(())
/// ```
pub struct AppFinder {
    find: Box<dyn Fn(AppName) -> Finding + Send + Sync>,
    patience: Duration,
    unknown_for: Duration,
    max_per_second: u32,
}

impl AppFinder {
    /// A finder that asks `find`, on a thread that the server has for it, which must not be blocked.
    ///
    /// An app that comes of it is served from then on, as with [`put_app`](crate::ServerHandle::put_app). `None` says that
    /// there is no such app: the client is closed with 4001 and does not come again, a publisher gets 404. When `find` has
    /// put the app in by itself meanwhile, `None` is right as well. An error says that nobody knows: the client is closed
    /// with 4100 and tries again, a publisher gets 503.
    pub fn new<F, A>(find: F) -> Self
    where
        F: Fn(AppName) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<App>, Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        Self {
            find: Box::new(move |name| Box::pin(find(name))),
            patience: Duration::from_secs(5),
            unknown_for: Duration::from_secs(5),
            max_per_second: 50,
        }
    }

    /// How long a look-up may take (default 5 s) before it counts as one that failed.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long it is believed that there is no such app (default 5 s); of 10,000 names at most.
    #[must_use]
    pub const fn unknown_for(mut self, time: Duration) -> Self {
        self.unknown_for = time;
        self
    }

    /// How many look-ups may begin in a second (default 50); 16 may be under way at once. Who names an unknown app beyond
    /// that is answered at once as after an error.
    #[must_use]
    pub const fn max_per_second(mut self, count: u32) -> Self {
        self.max_per_second = count;
        self
    }
}

impl fmt::Debug for AppFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppFinder")
            .field("patience", &self.patience)
            .field("unknown_for", &self.unknown_for)
            .field("max_per_second", &self.max_per_second)
            .finish_non_exhaustive()
    }
}
