//! The thread that looks apps up.

use super::{AppFinder, AppName, Verdict, Wanted};
use crate::app::App;
use crate::server::hub::Hub;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Who asks, and how it went last.
struct Asker {
    finder: AppFinder,
    failing: AtomicBool,
}

/// Looks apps up until the server ends.
pub(in crate::server) async fn run(
    hub: Hub,
    finder: AppFinder,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
) {
    let asker = Arc::new(Asker { finder, failing: AtomicBool::new(false) });
    while let Some(Wanted::App(name)) = wanted.recv().await {
        let waiting = Waiting { hub: hub.clone(), name, verdict: Verdict::Unreachable };
        tokio::spawn(look_up(waiting, Arc::clone(&asker)));
    }
    if let Some(lookups) = hub.apps().lookups() {
        lookups.ended();
    }
}

/// Those who wait for a look-up. They are answered whatever becomes of it, a panic included.
struct Waiting {
    hub: Hub,
    name: AppName,
    verdict: Verdict,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(lookups) = self.hub.apps().lookups() {
            lookups.settle(&self.name, self.verdict);
        }
    }
}

async fn look_up(mut waiting: Waiting, asker: Arc<Asker>) {
    let found = (asker.finder.find)(waiting.name.clone());
    let found = tokio::time::timeout(asker.finder.patience, found).await;
    let found = match found {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {:?}", asker.finder.patience)),
    };
    match found {
        Ok(found) => {
            if asker.failing.swap(false, Ordering::Relaxed) {
                tracing::info!("apps can be looked up again");
            }
            waiting.verdict = serve(&waiting.hub, &waiting.name, found);
        }
        Err(error) => {
            // Until one succeeds, once is enough.
            if !asker.failing.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "an app that is not known here cannot be looked up, who names it is told to try again: {error}"
                );
            }
        }
    }
}

/// Puts in what was found.
fn serve(hub: &Hub, name: &AppName, found: Option<App>) -> Verdict {
    if let Some(app) = found {
        if !name.is_of(&app) {
            tracing::warn!(id = %app.id, "another app was found than the one that was looked up, it is left out");
        } else if let Err(error) = hub.put_app(app) {
            tracing::warn!("the app that was looked up is left out: {error}");
        }
    }
    let known = match name {
        AppName::Id(id) => hub.apps().by_id(id).is_some(),
        AppName::Key(key) => hub.apps().by_key(key).is_some(),
    };
    if known { Verdict::Known } else { Verdict::Unknown }
}
