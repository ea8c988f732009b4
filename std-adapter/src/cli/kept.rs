//! Apps that are kept elsewhere: looked after while the server runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

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

/// Opens the directory and reads it; nothing is found where there is none.
///
/// # Errors
/// When it cannot be read: a server without its apps would refuse everybody.
pub(super) async fn open(
    config: Option<DirectoryConfig>,
) -> Result<(Option<Arc<Directory>>, Found), DirectoryError> {
    let Some(config) = config else { return Ok((None, Found::default())) };
    let directory = Directory::open(config)?;
    let found = directory.read().await?.unwrap_or_default();
    Ok((Some(Arc::new(directory)), found))
}

/// Reads all apps for ever, and passes on what it finds.
pub(super) async fn look(directory: Arc<Directory>, news: mpsc::Sender<News>) {
    let mut failures = 0u32;
    loop {
        tokio::time::sleep(directory.refresh() + jitter(directory.refresh())).await;
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
pub(super) fn finder(directory: &Arc<Directory>, news: &mpsc::Sender<News>) -> Option<AppFinder> {
    if directory.lookups() == 0 {
        return None;
    }
    let lookups = directory.lookups();
    let unknown_for = directory.refresh().min(UNKNOWN_FOR);
    let (directory, news) = (Arc::clone(directory), news.clone());
    // The connections of the directory belong to the thread that reads it.
    let here = Handle::current();
    let finder = AppFinder::new(move |name| {
        let asked = here.spawn(ask(Arc::clone(&directory), news.clone(), name));
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

/// Up to a tenth more, so that many servers do not look all at once.
fn jitter(refresh: Duration) -> Duration {
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    refresh.mul_f64(chance / 10.0)
}
