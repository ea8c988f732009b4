//! What happens in an app, live, as server-sent events for the page.
//!
//! Nothing is gathered before somebody watches. Events come in pages, several times a second at most; a page
//! holds the latest of them, and says how many it leaves out.

use super::super::answer::Refusal;
use super::super::feed::{Next, Pieces};
use crate::app::App;
use crate::config::Password;
use crate::server::ServerEvent;
use crate::server::hub::{Hub, Source};
use crate::server::now_ms;
use crate::server::tap::{Tapped, Watch};
use bytes::Bytes;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Interval, MissedTickBehavior};

/// How long the first event of a page waits for others.
const GATHER: Duration = Duration::from_millis(100);

/// Events in a page.
const PAGE: usize = 50;

/// One who watches an app.
pub(super) struct Watcher {
    hub: Hub,
    /// The app's place and id.
    app: (u32, Box<str>),
    published: Watch<Hub>,
    happened: Receiver<ServerEvent>,
    ticks: Interval,
    /// What opened it: with another password it ends, and the page asks for that.
    password: Option<Password>,
}

impl Watcher {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// 503 when too many watch, or the server ends.
    pub(super) fn new(hub: &Hub, app: &Arc<App>) -> Result<Self, Refusal> {
        if hub.is_draining() {
            return Err(Refusal::draining());
        }
        let full = || Refusal::unavailable("too many consoles are open: close one");
        let published = hub.watch().ok_or_else(full)?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            published,
            happened: hub.subscribe_to_events(),
            app: (app.index(), app.id.clone()),
            hub: hub.clone(),
            ticks,
            password: hub.config().console_password.clone(),
        })
    }

    /// How the app stands now; `None` when it is gone.
    async fn sample(&self) -> Option<Bytes> {
        let app = self.hub.apps().by_id(&self.app.1)?;
        let traffic = self.hub.traffic(&app).await;
        let sample = Sample {
            at_ms: now_ms(),
            connections: app.connections(),
            published: traffic.application_events + traffic.client_events,
            sent: traffic.sent_frames,
            refused: self.hub.refused_of(&app),
        };
        Some(framed("sample", &sample))
    }

    /// Puts an event on the page, if it is one of this app's.
    fn published(&self, page: &mut Page, tapped: &Tapped) {
        if tapped.app == self.app.0 {
            page.push(tapped.at_ms, "event", &Published::from(tapped));
        }
    }

    /// Puts on the page what has happened, if it is of this app.
    fn happened(&self, page: &mut Page, event: &ServerEvent) {
        if let Some((app, fact)) = Fact::of(event)
            && *app == *self.app.1
        {
            page.push(now_ms(), "fact", &fact);
        }
    }

    /// Puts on the page all that is there already.
    fn gather(&mut self, page: &mut Page) {
        loop {
            match self.published.events.try_recv() {
                Ok(tapped) => self.published(page, &tapped),
                Err(TryRecvError::Lagged(lost)) => page.lost += lost,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        loop {
            match self.happened.try_recv() {
                Ok(event) => self.happened(page, &event),
                Err(TryRecvError::Lagged(lost)) => page.lost += lost,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    /// The next page or sample; `None` when the server ends or the app is gone.
    async fn following(&mut self) -> Option<Bytes> {
        let mut page = Page::default();
        while page.is_empty() {
            tokio::select! {
                _ = self.ticks.tick() => {
                    let ended = self.hub.is_draining()
                        || self.hub.config().console_password != self.password;
                    return if ended { None } else { self.sample().await };
                }
                tapped = self.published.events.recv() => match tapped {
                    Ok(tapped) => self.published(&mut page, &tapped),
                    Err(RecvError::Lagged(lost)) => page.lost += lost,
                    Err(RecvError::Closed) => return None,
                },
                event = self.happened.recv() => match event {
                    Ok(event) => self.happened(&mut page, &event),
                    Err(RecvError::Lagged(lost)) => page.lost += lost,
                    Err(RecvError::Closed) => return None,
                },
            }
        }
        tokio::time::sleep(GATHER).await;
        self.gather(&mut page);
        Some(page.text())
    }
}

impl Pieces for Watcher {
    fn next(mut self: Box<Self>) -> Next {
        Box::pin(async move {
            let piece = self.following().await?;
            Some((piece, self as Box<dyn Pieces>))
        })
    }
}

/// What is told at once.
#[derive(Default)]
struct Page {
    /// Each with its time.
    lines: VecDeque<(u64, Bytes)>,
    lost: u64,
}

impl Page {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }

    fn push<T: Serialize>(&mut self, at_ms: u64, name: &str, value: &T) {
        if self.lines.len() == PAGE {
            self.lines.pop_front();
            self.lost += 1;
        }
        self.lines.push_back((at_ms, framed(name, value)));
    }

    fn text(mut self) -> Bytes {
        let mut text = Vec::new();
        if self.lost > 0 {
            text.extend_from_slice(&framed("lost", &Lost { count: self.lost }));
        }
        // They come from two sources, each in its order.
        self.lines.make_contiguous().sort_by_key(|(at_ms, _)| *at_ms);
        self.lines.iter().for_each(|(_, line)| text.extend_from_slice(line));
        text.into()
    }
}

/// A server-sent event. JSON text has no line breaks.
fn framed<T: Serialize>(name: &str, value: &T) -> Bytes {
    let data = serde_json::to_string(value).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Numbers but the first two only rise, from the start of the server on.
#[derive(Serialize)]
struct Sample {
    at_ms: u64,
    connections: u32,
    /// Events, once for each channel.
    published: u64,
    /// Messages to clients.
    sent: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Lost {
    count: u64,
}

#[derive(Serialize)]
struct Published<'t> {
    at_ms: u64,
    channel: &'t str,
    event: &'t str,
    data: &'t str,
    /// Whether there is more data.
    cut: bool,
    from_client: bool,
    except: Option<String>,
    user_id: Option<&'t str>,
}

impl<'t> From<&'t Tapped> for Published<'t> {
    fn from(tapped: &'t Tapped) -> Self {
        Self {
            at_ms: tapped.at_ms,
            channel: &tapped.channel,
            event: &tapped.event,
            data: &tapped.data,
            cut: tapped.cut,
            from_client: tapped.source == Source::Client,
            except: tapped.except.map(|socket_id| socket_id.to_string()),
            user_id: tapped.user_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Fact<'e> {
    at_ms: u64,
    what: &'static str,
    channel: Option<&'e str>,
    socket_id: Option<String>,
    user_id: Option<&'e str>,
    count: Option<u32>,
}

impl<'e> Fact<'e> {
    const fn new(what: &'static str) -> Self {
        Self { at_ms: 0, what, channel: None, socket_id: None, user_id: None, count: None }
    }

    fn in_channel(what: &'static str, channel: &'e str) -> Self {
        Self { channel: Some(channel), ..Self::new(what) }
    }

    /// A change, with the id of its app; `None` for what is shown as an event already.
    fn of(event: &'e ServerEvent) -> Option<(&'e str, Self)> {
        let (app, fact) = match event {
            ServerEvent::CacheMissed { app, channel } => {
                (app, Self::in_channel("cache_missed", channel))
            }
            ServerEvent::ChannelOccupied { app, channel } => {
                (app, Self::in_channel("channel_occupied", channel))
            }
            ServerEvent::ChannelVacated { app, channel } => {
                (app, Self::in_channel("channel_vacated", channel))
            }
            ServerEvent::ClientEvent { .. } => return None,
            ServerEvent::Connected { app, socket_id } => {
                let socket_id = Some(socket_id.to_string());
                (app, Self { socket_id, ..Self::new("connected") })
            }
            ServerEvent::Disconnected { app, socket_id } => {
                let socket_id = Some(socket_id.to_string());
                (app, Self { socket_id, ..Self::new("disconnected") })
            }
            ServerEvent::MemberAdded { app, channel, user_id } => {
                let user_id = Some(&**user_id);
                (app, Self { user_id, ..Self::in_channel("member_added", channel) })
            }
            ServerEvent::MemberRemoved { app, channel, user_id } => {
                let user_id = Some(&**user_id);
                (app, Self { user_id, ..Self::in_channel("member_removed", channel) })
            }
            ServerEvent::SubscriptionCount { app, channel, count } => {
                let count = Some(*count);
                (app, Self { count, ..Self::in_channel("subscription_count", channel) })
            }
        };
        Some((app, Self { at_ms: now_ms(), ..fact }))
    }
}
