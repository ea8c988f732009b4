//! What shards tell, as operations in a frame.

use super::Told;
use super::wire::{self, Op};
use crate::app::App;
use crate::server::hub::KeptEvent;
use std::sync::Arc;

/// How many of the first fit in so many bytes: one at least, and none behind a [`Told::State`].
pub(super) fn fitting(told: &[Told], bytes: usize) -> usize {
    let mut weight = 0;
    let fits = told.iter().take_while(|told| {
        let own = weigh(told);
        let fits = !matches!(told, Told::State { .. }) && (weight == 0 || weight + own <= bytes);
        weight += own;
        fits
    });
    fits.count()
}

/// The app of each; `None` where there is none any more.
pub(super) fn apps_of(
    told: &[Told],
    app: impl Fn(u32) -> Option<Arc<App>>,
) -> Vec<Option<Arc<App>>> {
    told.iter().map(|told| app(app_of(told))).collect()
}

/// The operations that say it, of those whose app is there.
pub(super) fn of<'t>(told: &'t [Told], apps: &'t [Option<Arc<App>>]) -> Vec<Op<'t>> {
    told.iter().zip(apps).filter_map(|(told, app)| op(told, app.as_deref()?)).collect()
}

/// The place of the app that it is about.
fn app_of(told: &Told) -> u32 {
    match told {
        Told::Entry { app, .. }
        | Told::User { app, .. }
        | Told::Terminate { app, .. }
        | Told::Sent { app, .. } => *app,
        Told::Count { channel, .. }
        | Told::Here { channel, .. }
        | Told::Gone { channel, .. }
        | Told::CacheMiss { channel }
        | Told::Cached { channel, .. }
        | Told::Log { channel, .. } => channel.app,
        Told::State { .. } => u32::MAX,
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The operation that says it; `app` is the app that it is about.
fn op<'t>(told: &'t Told, app: &'t App) -> Option<Op<'t>> {
    let app = &*app.id;
    Some(match told {
        Told::Entry { entry, .. } => Op::Entry {
            app,
            channel: text(&entry.channel),
            event: text(&entry.event),
            data: text(&entry.data),
            except: entry.except.map(tidings_core::pusher::SocketId::parts),
            user_id: entry.user_id.as_deref(),
            client: wire::is_client(entry.source),
        },
        Told::Count { channel, count } => {
            Op::Count { app, channel: text(&channel.name), count: *count }
        }
        Told::Here { channel, member } => {
            let (user_id, info) = (&*member.id, member.info.as_deref());
            Op::Here { app, channel: text(&channel.name), user_id, info }
        }
        Told::Gone { channel, user_id } => Op::Gone { app, channel: text(&channel.name), user_id },
        Told::CacheMiss { channel } => Op::CacheMiss { app, channel: text(&channel.name) },
        Told::User { user_id, online, .. } => Op::User { app, user_id, online: *online },
        Told::Terminate { user_id, .. } => Op::Terminate { app, user_id },
        Told::Sent { hash, .. } => Op::Sent { hash: *hash },
        Told::Cached { channel, cached } => Op::Cached {
            app,
            channel: text(&channel.name),
            age_ms: cached.age_ms,
            frame: &cached.frame,
            data: u32::try_from(cached.data).ok()?,
        },
        Told::Log { channel, log } => Op::Log {
            app,
            channel: text(&channel.name),
            floor: log.floor,
            events: log.events.iter().map(kept).collect(),
        },
        Told::State { .. } => return None,
    })
}

fn kept(event: &KeptEvent) -> (u64, u64, u32, &[u8]) {
    (event.number, event.age_ms, event.from, &event.frame)
}

/// Bytes that something told takes in a frame, roughly.
fn weigh(told: &Told) -> usize {
    32 + match told {
        Told::Entry { entry, .. } => entry.channel.len() + entry.event.len() + entry.data.len(),
        Told::Here { channel, member } => {
            channel.name.len() + member.id.len() + member.info.as_ref().map_or(0, |info| info.len())
        }
        Told::Count { channel, .. } | Told::Gone { channel, .. } | Told::CacheMiss { channel } => {
            channel.name.len() + 32
        }
        Told::User { user_id, .. } | Told::Terminate { user_id, .. } => user_id.len(),
        Told::Cached { channel, cached } => channel.name.len() + cached.frame.len(),
        Told::Log { channel, log } => {
            channel.name.len()
                + log.events.iter().map(|event| event.frame.len() + 20).sum::<usize>()
        }
        Told::State { .. } | Told::Sent { .. } => 0,
    }
}
