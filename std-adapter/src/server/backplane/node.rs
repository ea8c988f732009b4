//! The node that a link works for: its hub.

use super::link::Node;
use super::wire::Op;
use super::{Outlet, View};
use crate::app::App;
use crate::server::hub::mail::{Channel, Mail, Member};
use crate::server::hub::{
    Entry, Hub, Kept, KeptEvent, KeptLog, KeptState, News, NodeChange, NodeIndex, Notice, Remote,
    Source, Stamp, UserMail,
};
use bytes::Bytes;
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidings_core::pusher::SocketId;
use tokio::sync::mpsc;

pub(super) struct HubNode {
    hub: Hub,
    waiting: Arc<AtomicUsize>,
    view: Arc<View>,
    /// Frames for the bus.
    pub(super) out: Vec<Bytes>,
    /// Connections by app on other nodes.
    counts: HashMap<NodeIndex, Vec<(Arc<App>, u32)>>,
}

impl HubNode {
    pub(super) fn new(hub: Hub, outlet: &Outlet) -> Self {
        let (waiting, view) = (Arc::clone(&outlet.waiting), Arc::clone(&outlet.view));
        Self { hub, waiting, view, out: Vec::new(), counts: HashMap::default() }
    }

    /// The place of an app by its id, and the app.
    fn app_at(&self, id: &str) -> Option<(u32, Arc<App>)> {
        let app = self.hub.apps().by_id(id)?;
        Some((app.index(), app))
    }

    fn channel(&self, app: &str, name: &str, frame: &Bytes) -> Option<Channel> {
        let (app, _) = self.app_at(app)?;
        let hash = self.hub.hash(app, name.as_bytes());
        Some(Channel { app, hash, name: part(frame, name) })
    }

    fn mail_home(&self, hash: u64, mail: Mail) {
        self.hub.send(self.hub.home_of(hash), mail);
    }

    fn to_all(&self, mail: impl Fn() -> Mail) {
        for shard in 0..self.hub.shards() {
            self.hub.send(shard, mail());
        }
    }

    fn news(
        &self,
        node: NodeIndex,
        (app, channel): (&str, &str),
        frame: &Bytes,
        quiet: bool,
        news: News,
    ) {
        // A copy: the frame may be large, and this stays.
        let Some(mut channel) = self.channel(app, channel, frame) else { return };
        channel.name = Bytes::copy_from_slice(&channel.name);
        let hash = channel.hash;
        self.mail_home(hash, Mail::Remote(Box::new(Remote { node, channel, news, quiet })));
    }

    fn keep(&self, app: &str, channel: &str, frame: &Bytes, kept: Kept) {
        let Some(channel) = self.channel(app, channel, frame) else { return };
        self.mail_home(channel.hash, Mail::Keep(Box::new((channel, kept))));
    }
}

/// A text within a frame, without a copy.
fn part(frame: &Bytes, text: &str) -> Bytes {
    frame.slice_ref(text.as_bytes())
}

impl Node for HubNode {
    fn send(&mut self, frame: Bytes) {
        self.out.push(frame);
    }

    fn entry(&mut self, op: &Op<'_>, frame: &Bytes, stamp: Stamp, own: bool) {
        let Op::Entry { app, channel, event, data, except, user_id, client } = *op else { return };
        if own {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let Some((app, _)) = self.app_at(app) else { return };
        let except = except.map(|(first, second)| SocketId::new(first, second));
        if let (true, false, Some(socket_id)) = (client, own, except) {
            let (channel, data) = (channel.as_bytes(), data.as_bytes());
            let notice = Notice::ClientEvent { app, channel, event, data, socket_id, user_id };
            self.hub.notify_quietly(notice);
        }
        let entry = Entry {
            channel: part(frame, channel),
            event: part(frame, event),
            data: part(frame, data),
            except,
            user_id: user_id.map(Into::into),
            source: if client { Source::Client } else { Source::Application },
            stamp: Some(stamp),
            accepted: std::time::Instant::now(),
        };
        let hash = self.hub.hash(app, channel.as_bytes());
        self.mail_home(hash, Mail::Publish { app, hash, entry });
    }

    fn hear(&mut self, node: NodeIndex, op: &Op<'_>, frame: &Bytes, quiet: bool) {
        match *op {
            Op::Entry { .. } => {}
            Op::Count { app, channel, count } => {
                self.news(node, (app, channel), frame, quiet, News::Count(count));
            }
            Op::Here { app, channel, user_id, info } => {
                let member = Member { id: user_id.into(), info: info.map(Into::into) };
                self.news(node, (app, channel), frame, quiet, News::Here(member));
            }
            Op::Gone { app, channel, user_id } => {
                self.news(node, (app, channel), frame, quiet, News::Gone(user_id.into()));
            }
            Op::CacheMiss { app, channel } => {
                self.news(node, (app, channel), frame, quiet, News::CacheMiss);
            }
            Op::User { app, user_id, online } => {
                let Some((app, _)) = self.app_at(app) else { return };
                let mail = UserMail::Elsewhere { node, app, user_id: user_id.into(), online };
                let hash = self.hub.hash(app, user_id.as_bytes());
                self.mail_home(hash, Mail::User(Box::new(mail)));
            }
            Op::Terminate { app, user_id } => {
                let Some((app, _)) = self.app_at(app) else { return };
                let (reply, _) = mpsc::unbounded_channel();
                self.to_all(|| Mail::Terminate {
                    app,
                    user_id: user_id.into(),
                    reply: reply.clone(),
                });
            }
            Op::Sent { hash } => self.view.sent(hash),
            Op::Cached { app, channel, age_ms, frame: kept, data } => {
                let state = KeptState { age_ms, frame: frame.slice_ref(kept), data: data as usize };
                self.keep(app, channel, frame, Kept::State(state));
            }
            Op::Log { app, channel, floor, ref events } => {
                let event = |&(number, age_ms, from, kept): &(u64, u64, u32, &[u8])| KeptEvent {
                    number,
                    age_ms,
                    from,
                    frame: frame.slice_ref(kept),
                };
                let log = KeptLog { floor, events: events.iter().map(event).collect() };
                self.keep(app, channel, frame, Kept::Log(log));
            }
        }
    }

    fn change(&mut self, node: NodeIndex, change: NodeChange, quiet: bool) {
        self.to_all(|| Mail::Node { node, change, quiet });
    }

    fn gap(&mut self) {
        self.to_all(|| Mail::Gap);
    }

    fn tell_state(&mut self, to: u64, kept: bool) -> u16 {
        self.to_all(|| Mail::State { to, kept });
        self.hub.shards()
    }

    fn app(&self, index: u32) -> Option<Arc<App>> {
        self.hub.apps().get(index)
    }

    fn connections(&self) -> Vec<(Arc<App>, u32)> {
        let apps = self.hub.apps().iter().map(|app| {
            let count = app.connections();
            (app, count)
        });
        apps.filter(|(_, count)| *count > 0).collect()
    }

    fn count(&mut self, node: NodeIndex, connections: &[(&str, u32)]) {
        let known = |(id, count): &(&str, u32)| Some((self.app_at(id)?.1, *count));
        let now: Vec<_> = connections.iter().filter_map(known).collect();
        let before = self.counts.insert(node, now.clone()).unwrap_or_default();
        if now.is_empty() {
            self.counts.remove(&node);
        }
        for (app, _) in before.iter().chain(&now) {
            let all = self.counts.values().flatten().filter(|(other, _)| other.id == app.id);
            let sum = all.fold(0u32, |sum, (_, count)| sum.saturating_add(*count));
            app.live().set_connections_elsewhere(sum);
        }
    }
}
