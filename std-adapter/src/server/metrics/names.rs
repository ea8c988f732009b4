//! The metrics by name: what Soketi has, and what more there is to tell.

use super::family::Families;
use super::gather::{AppGauges, Measured};
use super::histogram::Histogram;
use super::http::{AppRequests, ROUTES, STATUSES};
use super::process;
use super::traffic::TrafficCounts;
use crate::app::App;
use crate::server::hub::Hub;
use prometheus::proto::MetricFamily;
use std::sync::Arc;

/// One look at everything.
pub(super) struct Scrape<'a> {
    pub(super) hub: &'a Hub,
    pub(super) measured: &'a Measured,
}

/// A count as the text format has it.
fn number(count: u64) -> f64 {
    count as f64
}

impl Scrape<'_> {
    /// All metrics, Soketi's names among them, each behind `prefix`.
    pub(super) fn all(&self, prefix: &str) -> Vec<MetricFamily> {
        let mut out = Families::new(prefix);
        self.as_soketi(&mut out);
        self.tables(&mut out);
        self.refusals(&mut out);
        self.http(&mut out);
        self.inside(&mut out);
        self.webhooks(&mut out);
        self.backplane(&mut out);
        out.into_inner()
    }

    /// What Soketi has, by its names.
    pub(super) fn soketi(&self, prefix: &str) -> Vec<MetricFamily> {
        let mut out = Families::new(prefix);
        self.as_soketi(&mut out);
        process::families(&mut out);
        out.into_inner()
    }

    fn apps(&self) -> impl Iterator<Item = (u32, Arc<App>)> {
        self.hub.apps().iter().map(|app| (app.index(), app))
    }

    fn gauges(&self, app: u32) -> AppGauges {
        self.measured.gauges.get(&app).copied().unwrap_or_default()
    }

    fn traffic(&self, app: u32) -> TrafficCounts {
        self.measured.traffic.get(&app).copied().unwrap_or_default()
    }

    fn requests(&self, app: u32) -> AppRequests {
        self.measured.requests.apps.get(&app).copied().unwrap_or_default()
    }

    fn as_soketi(&self, out: &mut Families<'_>) {
        let port = self.hub.meters().port().to_string();
        out.gauges("connected", "Sockets that are connected now");
        for (at, app) in self.apps() {
            let labels = [("app_id", &*app.id), ("port", &*port)];
            out.value(&labels, number(self.gauges(at).connections));
        }
        let mut counters = |name: &str, help: &str, value: &dyn Fn(u32) -> u64| {
            out.counters(name, help);
            for (at, app) in self.apps() {
                out.value(&[("app_id", &*app.id), ("port", &*port)], number(value(at)));
            }
        };
        counters("new_connections_total", "Sockets that were let in", &|at| {
            self.traffic(at).connected
        });
        counters("new_disconnections_total", "Sockets that have ended", &|at| {
            self.traffic(at).disconnected
        });
        counters("socket_received_bytes", "Bytes that sockets have sent", &|at| {
            self.traffic(at).received_bytes
        });
        counters("socket_transmitted_bytes", "Bytes for sockets, written or queued", &|at| {
            self.traffic(at).sent_bytes
        });
        counters("ws_messages_received_total", "Frames that sockets have sent", &|at| {
            self.traffic(at).received_frames
        });
        counters("ws_messages_sent_total", "Frames for sockets, written or queued", &|at| {
            self.traffic(at).sent_frames
        });
        counters("http_received_bytes", "Bytes of the bodies of HTTP API requests", &|at| {
            self.requests(at).received_bytes
        });
        counters("http_transmitted_bytes", "Bytes of the bodies of HTTP API answers", &|at| {
            self.requests(at).sent_bytes
        });
        counters("http_calls_received_total", "HTTP API requests that name the app", &|at| {
            self.requests(at).count
        });
    }

    fn tables(&self, out: &mut Families<'_>) {
        let mut gauges = |name: &str, help: &str, value: &dyn Fn(AppGauges) -> u64| {
            out.gauges(name, help);
            for (at, app) in self.apps() {
                out.value(&[("app_id", &*app.id)], number(value(self.gauges(at))));
            }
        };
        gauges("channels", "Channels with subscribers on this server", &|app| app.channels);
        gauges("subscriptions", "Subscriptions of sockets of this server", &|app| {
            app.subscriptions
        });
        gauges("presence_members", "Subscriptions of presence channels", &|app| {
            app.presence_members
        });
        gauges("presence_users", "Users in presence channels, once for each channel", &|app| {
            app.presence_users
        });
        gauges("queue_bytes", "Bytes that wait for slow sockets", &|app| app.queue_bytes);
        gauges("queue_bytes_max", "The most that waits for one socket", &|app| app.queue_bytes_max);
        out.counters("events_total", "Events published, once for each channel, by their source");
        for (at, app) in self.apps() {
            let traffic = self.traffic(at);
            for (source, count) in
                [("application", traffic.application_events), ("client", traffic.client_events)]
            {
                out.value(&[("app_id", &*app.id), ("source", source)], number(count));
            }
        }
    }

    fn refusals(&self, out: &mut Families<'_>) {
        out.counters("refusals_total", "What was refused, by kind and by code or status");
        for refusal in self.hub.refusal_counts() {
            let app = refusal.app.as_deref().unwrap_or_default();
            let code = refusal.code.to_string();
            let labels = [("app_id", app), ("kind", refusal.kind.name()), ("code", &*code)];
            out.value(&labels, number(refusal.count));
        }
    }

    fn http(&self, out: &mut Families<'_>) {
        let requests = &self.measured.requests;
        out.counters("http_requests_total", "HTTP requests, by route and status");
        for (route, counts) in ROUTES.iter().zip(&requests.counts) {
            for (status, count) in STATUSES.iter().zip(counts).filter(|(_, count)| **count > 0) {
                let status = if *status == 0 { "other".into() } else { status.to_string() };
                out.value(&[("route", route), ("status", &*status)], number(*count));
            }
        }
        out.histograms("http_request_seconds", "From a request to its answer, by route");
        let used = ROUTES.iter().zip(&requests.took).filter(|(_, took)| took.count() > 0);
        used.for_each(|(route, took)| out.histogram(&[("route", route)], took));
    }

    fn inside(&self, out: &mut Families<'_>) {
        let delivery: &Histogram = &self.measured.delivery;
        let help = "From the acceptance of an event to its write to the sockets of a shard";
        out.histograms("publish_to_write_seconds", help);
        out.histogram(&[], delivery);
        out.gauges("mail_waiting", "Pieces of mail that wait for a shard");
        for (shard, waiting) in self.hub.mail_waiting().enumerate() {
            out.value(&[("shard", &*shard.to_string())], waiting as f64);
        }
        out.gauge("shards", "Threads that own sockets", f64::from(self.hub.shards()));
        let help = "1 if a shard did not answer in a second, so that its numbers are missing";
        out.gauge("scrape_incomplete", help, f64::from(u8::from(self.measured.missing > 0)));
        let help = "1 while the server takes no new sockets, as it ends";
        out.gauge("draining", help, f64::from(u8::from(self.hub.is_draining())));
        out.gauges("build_info", "The version, as a label");
        out.value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    }

    fn webhooks(&self, out: &mut Families<'_>) {
        let all: Vec<_> =
            self.apps().map(|(_, app)| (app.id.clone(), app.outlet().stats())).collect();
        let each = || all.iter().flat_map(|(id, stats)| stats.iter().map(move |s| (&**id, s)));
        out.counters("webhook_events_delivered_total", "Events that an endpoint has taken");
        for (id, stats) in each() {
            out.value(&[("app_id", id), ("url", &*stats.url)], number(stats.delivered));
        }
        out.counters("webhook_attempts_failed_total", "Requests to an endpoint that failed");
        for (id, stats) in each() {
            out.value(&[("app_id", id), ("url", &*stats.url)], number(stats.failed_attempts));
        }
        out.counters(
            "webhook_events_dropped_total",
            "Events that an endpoint was not told, by why",
        );
        for (id, stats) in each() {
            for (reason, count) in [
                ("full", stats.dropped_full),
                ("late", stats.dropped_late),
                ("shutdown", stats.dropped_at_shutdown),
            ] {
                let labels = [("app_id", id), ("url", &*stats.url), ("reason", reason)];
                out.value(&labels, number(count));
            }
        }
        out.gauges("webhook_events_waiting", "Events that wait for an endpoint");
        for (id, stats) in each() {
            out.value(&[("app_id", id), ("url", &*stats.url)], number(stats.waiting));
        }
    }

    fn backplane(&self, out: &mut Families<'_>) {
        let Some(backplane) = self.hub.backplane() else { return };
        let (state, (sent, received)) = (backplane.view().state(), backplane.view().frames());
        let degraded = f64::from(u8::from(state.degraded.is_some()));
        out.gauge("backplane_degraded", "1 while the backplane is not reached", degraded);
        out.gauge("backplane_nodes", "Other servers that are known", state.nodes as f64);
        let help = "Events on their way through the backplane";
        out.gauge("backplane_waiting", help, backplane.waiting() as f64);
        let help = "Frames given to the backplane";
        out.counter("backplane_frames_sent_total", help, number(sent));
        let help = "Frames that the backplane has brought, this server's own among them";
        out.counter("backplane_frames_received_total", help, number(received));
        let help = "Batches given up because too many waited for the backplane to come back";
        out.counter("backplane_batches_dropped_total", help, number(state.dropped));
    }
}
