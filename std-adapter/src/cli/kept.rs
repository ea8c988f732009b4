//! Apps that are kept elsewhere: looked after while the server runs.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::directory::{Directory, DirectoryConfig, DirectoryError, Found};

/// How often a failure that lasts is told again.
const TELL_AGAIN: u32 = 60;

/// Opens the directory and reads it; nothing is found where there is none.
///
/// # Errors
/// When it cannot be read: a server without its apps would refuse everybody.
pub(super) async fn open(
    config: Option<DirectoryConfig>,
) -> Result<(Option<Directory>, Found), DirectoryError> {
    let Some(config) = config else { return Ok((None, Found::default())) };
    let mut directory = Directory::open(config)?;
    let found = directory.read().await?.unwrap_or_default();
    Ok((Some(directory), found))
}

/// Looks for changes for ever, and passes on what has changed since `last`.
pub(super) async fn look(mut directory: Directory, mut last: Found, changes: mpsc::Sender<Found>) {
    let mut failures = 0u32;
    loop {
        tokio::time::sleep(directory.refresh() + jitter(directory.refresh())).await;
        match directory.read().await {
            Ok(found) => {
                if failures > 0 {
                    tracing::info!("the apps can be read again");
                }
                failures = 0;
                if let Some(found) = found.filter(|found| *found != last) {
                    last.clone_from(&found);
                    if changes.send(found).await.is_err() {
                        return;
                    }
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

/// Up to a tenth more, so that many servers do not look all at once.
fn jitter(refresh: Duration) -> Duration {
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    refresh.mul_f64(chance / 10.0)
}
