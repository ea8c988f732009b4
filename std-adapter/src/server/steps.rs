//! Log lines that tell a person what happens, step by step: `log = "info,tidings::steps=debug"`.

use super::hub::Notice;
use crate::app::Apps;
use tracing::{Level, debug, enabled};

/// The name that these lines are switched on by.
pub(crate) const STEPS: &str = "tidings::steps";

/// The name of what is told to a collector of traces, and to no log.
pub(crate) const TRACES: &str = "tidings::traces";

/// Text for a log line: its beginning, if it is long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 160;
    let text = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes));
    if bytes.len() > SHOWN { format!("{text}… ({} bytes)", bytes.len()) } else { text.into() }
}

/// Tells of a change.
pub(crate) fn tell(apps: &Apps, notice: &Notice<'_>) {
    if !enabled!(target: STEPS, Level::DEBUG) {
        return;
    }
    let key = |app: u32| apps.get(app).map(|app| app.key.clone()).unwrap_or_default();
    match *notice {
        Notice::Occupied { app, channel } => {
            debug!(target: STEPS, key = %key(app), channel = %shown(channel), "channel occupied");
        }
        Notice::Vacated { app, channel } => {
            debug!(target: STEPS, key = %key(app), channel = %shown(channel), "channel vacated");
        }
        Notice::CacheMiss { app, channel } => {
            debug!(target: STEPS, key = %key(app), channel = %shown(channel), "cache miss");
        }
        Notice::SubscriptionCount { app, channel, count } => {
            let channel = shown(channel);
            debug!(target: STEPS, key = %key(app), %channel, count, "subscription count");
        }
        Notice::MemberAdded { app, channel, user_id } => {
            let channel = shown(channel);
            debug!(target: STEPS, key = %key(app), %channel, user_id, "member added");
        }
        Notice::MemberRemoved { app, channel, user_id } => {
            let channel = shown(channel);
            debug!(target: STEPS, key = %key(app), %channel, user_id, "member removed");
        }
        Notice::Connected { app, socket_id } => {
            debug!(target: STEPS, key = %key(app), %socket_id, "connected");
        }
        Notice::Disconnected { app, socket_id } => {
            debug!(target: STEPS, key = %key(app), %socket_id, "disconnected");
        }
        Notice::ClientEvent { channel, event, data, socket_id, .. } => {
            let (channel, data) = (shown(channel), shown(data));
            debug!(target: STEPS, %socket_id, %channel, event, %data, "client event");
        }
    }
}
