//! Apps that are kept elsewhere: looked after while the server runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::AppOptions;
use crate::directory::{Directory, DirectoryConfig, DirectoryError, Found};
use crate::server::{AppFinder, AppName};

/// How often a failure that lasts is told again.
const TELL_AGAIN: u32 = 60;

/// How long it is believed at most that there is no such app.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// What has been learnt of the apps that are kept elsewhere.
#[derive(Debug)]
pub(super) enum News {
    /// All of them have been read, which began at `since`; `None` when they are as they were.
    All { found: Option<Found>, since: Instant },
    /// One has been looked up. It is told when that is done with.
    One { arrival: Box<Arrival>, done: oneshot::Sender<()> },
}

/// An app that was looked up.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) app: AppOptions,
    /// When the answer was there: what was asked for before may not have it yet.
    pub(super) at: Instant,
}

/// Opens the directory and reads it; nothing is found where there is none. Another one can take its place.
///
/// # Errors
/// When it cannot be read: a server without its apps would refuse everybody.
pub(super) async fn open(
    config: Option<DirectoryConfig>,
) -> Result<Option<(watch::Sender<Arc<Directory>>, Found)>, DirectoryError> {
    let Some(config) = config else { return Ok(None) };
    let directory = Directory::open(config)?;
    let found = directory.read().await?.unwrap_or_default();
    Ok(Some((watch::Sender::new(Arc::new(directory)), found)))
}

/// Reads all apps for ever, and passes on what it finds. Another directory is read at once.
pub(super) async fn look(
    mut directories: watch::Receiver<Arc<Directory>>,
    news: mpsc::Sender<News>,
) {
    let directory = Arc::clone(&directories.borrow_and_update());
    let mut wait = pause(&directory);
    loop {
        let directory = Arc::clone(&directories.borrow_and_update());
        tokio::select! {
            () = look_at(&directory, wait, &news) => return,
            changed = directories.changed() => if changed.is_err() { return },
        }
        wait = Duration::ZERO;
    }
}

/// Reads all apps of one directory, the first time after `wait`, until nobody hears of it any more.
async fn look_at(directory: &Directory, mut wait: Duration, news: &mpsc::Sender<News>) {
    let mut failures = 0u32;
    loop {
        tokio::time::sleep(wait).await;
        wait = pause(directory);
        let since = Instant::now();
        match directory.read().await {
            Ok(found) => {
                if failures > 0 {
                    tracing::info!("the apps can be read again");
                }
                failures = 0;
                if news.send(News::All { found, since }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if failures.is_multiple_of(TELL_AGAIN) {
                    tracing::warn!("{error}; the apps stay as they were");
                }
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Looks up single apps in the directory; `None` where that is not wanted.
pub(super) fn finder(
    directories: watch::Receiver<Arc<Directory>>,
    news: mpsc::Sender<News>,
) -> Option<AppFinder> {
    let (lookups, refresh) = {
        let directory = directories.borrow();
        (directory.lookups(), directory.refresh())
    };
    if lookups == 0 {
        return None;
    }
    let unknown_for = refresh.min(UNKNOWN_FOR);
    // The connections of the directory belong to the thread that reads it.
    let here = Handle::current();
    let finder = AppFinder::new(move |name| {
        let directory = Arc::clone(&directories.borrow());
        let asked = here.spawn(ask(directory, news.clone(), name));
        async move { asked.await?.map(|()| None) }
    });
    Some(finder.unknown_for(unknown_for).max_per_second(lookups))
}

/// Looks up an app and passes it on. It has been put in when this is done.
async fn ask(
    directory: Arc<Directory>,
    news: mpsc::Sender<News>,
    name: AppName,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(app) = directory.find(&name).await? else { return Ok(()) };
    let (done, is_done) = oneshot::channel();
    let arrival = Box::new(Arrival { app, at: Instant::now() });
    news.send(News::One { arrival, done }).await.map_err(|_| "the server ends")?;
    is_done.await.map_err(|_| "the server ends".into())
}

/// The time between two looks: up to a tenth more than was said, so that many servers do not look all at once.
fn pause(directory: &Directory) -> Duration {
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    directory.refresh().mul_f64(1.0 + chance / 10.0)
}
