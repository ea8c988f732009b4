//! What is asked over HTTP.

use super::histogram::Histogram;
use hashbrown::HashMap;
use std::time::Duration;

/// What requests are for, in metrics.
pub(crate) const ROUTES: [&str; 15] = [
    "alive",
    "ready",
    "accept_traffic",
    "preflight",
    "events",
    "batch_events",
    "channels",
    "channel",
    "history",
    "users",
    "feed",
    "terminate",
    CONSOLE,
    FAULTS,
    OTHER,
];

/// The console, its page and all that it asks for.
pub(crate) const CONSOLE: &str = "console";

/// What goes wrong on demand, in dev mode.
pub(crate) const FAULTS: &str = "faults";

/// What has no route, or one that does not count.
pub(crate) const OTHER: &str = "other";

/// The statuses that are answered. The last one stands for all others.
pub(crate) const STATUSES: [u16; 15] =
    [200, 204, 400, 401, 403, 404, 405, 408, 413, 426, 429, 431, 500, 503, 0];

/// A request that has been answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// The place of the app that it names, if there is one.
    pub(crate) app: Option<u32>,
    /// One of [`ROUTES`].
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) received: usize,
    /// Bytes of the answer's body.
    pub(crate) sent: usize,
    pub(crate) took: Duration,
}

/// Requests of one app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AppRequests {
    pub(crate) count: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// Requests that one thread has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// By the app's place.
    pub(crate) apps: HashMap<u32, AppRequests>,
    /// By route and status.
    pub(crate) counts: [[u64; STATUSES.len()]; ROUTES.len()],
    /// How long they took, by route.
    pub(crate) took: [Histogram; ROUTES.len()],
}

impl Requests {
    pub(crate) fn note(&mut self, made: &Made) {
        let last = STATUSES.len() - 1;
        let status = STATUSES.iter().position(|status| *status == made.status).unwrap_or(last);
        let route = ROUTES.iter().position(|route| *route == made.route);
        let route = route.unwrap_or(ROUTES.len() - 1);
        self.counts[route][status] += 1;
        self.took[route].record(made.took);
        if let Some(app) = made.app {
            let app = self.apps.entry(app).or_default();
            app.count += 1;
            app.received_bytes += made.received as u64;
            app.sent_bytes += made.sent as u64;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (app, more) in &other.apps {
            let app = self.apps.entry(*app).or_default();
            app.count += more.count;
            app.received_bytes += more.received_bytes;
            app.sent_bytes += more.sent_bytes;
        }
        let counts = self.counts.iter_mut().flatten().zip(other.counts.iter().flatten());
        counts.for_each(|(count, more)| *count += more);
        self.took.iter_mut().zip(&other.took).for_each(|(took, more)| took.add(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_count_by_route_status_and_app() {
        let mut requests = Requests::default();
        let made = Made {
            app: Some(2),
            route: "events",
            status: 200,
            received: 30,
            sent: 2,
            took: Duration::from_millis(1),
        };
        requests.note(&made);
        requests.note(&Made { app: None, status: 418, ..made });
        let mut twice = requests.clone();
        twice.add(&requests);
        let expected = AppRequests { count: 2, received_bytes: 60, sent_bytes: 4 };
        assert_eq!(twice.apps.into_iter().collect::<Vec<_>>(), [(2, expected)]);
        assert_eq!((twice.counts[4][0], twice.counts[4][14]), (2, 2));
        assert_eq!(twice.took[4].count(), 4);
    }
}
