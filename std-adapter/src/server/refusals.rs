//! What the server has refused: counted by app, kind and code, with the latest at hand.
//!
//! Every refusal passes through [`Hub::refused`]. Its text is what the peer was told, less what the peer sent as a
//! signature: what is noted here is shown to operators and logged.

use super::hub::Hub;
use super::now_ms;
use crate::app::App;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Refusals that are kept to be shown.
const KEPT: usize = 100;

/// Bytes of a text that are kept.
const MAX_TEXT: usize = 512;

/// Combinations of app, kind and code that are counted apart; there are far fewer unless somebody makes up codes.
const MAX_COUNTS: usize = 65_536;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// A client event; the code is that of the error event, 0 where it has none.
    ClientEvent,
    /// A request of HTTP; the code is the status.
    Http,
    /// A message that means nothing, or another request of a socket; the code is that of the error event, 0 where it
    /// has none.
    Message,
    /// A frame against RFC 6455; the code is that of the close frame.
    Protocol,
    /// To sign in; the code is that of the error event.
    SignIn,
    /// To go on sending to a client that reads too slowly; the code is that of the close.
    SlowConsumer,
    /// A socket, right after its handshake; the code is that of the close.
    Socket,
    /// A subscription; the code is the status in the error event.
    Subscription,
    /// A connection that did not prove itself in time; the code is that of the close.
    Unproven,
}

impl RefusalKind {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientEvent => "client_event",
            Self::Http => "http",
            Self::Message => "message",
            Self::Protocol => "protocol",
            Self::SignIn => "sign_in",
            Self::SlowConsumer => "slow_consumer",
            Self::Socket => "socket",
            Self::Subscription => "subscription",
            Self::Unproven => "unproven",
        }
    }
}

/// A refusal, as the place where it happens knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused<'a> {
    pub(crate) kind: RefusalKind,
    /// The status or the protocol's code; 0 where there is none.
    pub(crate) code: u16,
    /// The reason, without what the peer sent as a signature.
    pub(crate) text: &'a str,
    pub(crate) channel: Option<&'a str>,
    /// The path of an HTTP request, without its query.
    pub(crate) path: Option<&'a str>,
    /// The id of that request, which its answer has too.
    pub(crate) request_id: Option<&'a str>,
}

impl<'a> Refused<'a> {
    /// A refusal that concerns no channel and no request.
    pub(crate) const fn new(kind: RefusalKind, code: u16, text: &'a str) -> Self {
        Self { kind, code, text, channel: None, path: None, request_id: None }
    }
}

/// Something that the server has refused, from [`ServerHandle::refusals`](crate::ServerHandle::refusals).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The id of the app, where that is known.
    pub app: Option<Box<str>>,
    /// What was refused.
    pub kind: RefusalKind,
    /// The status or the protocol's code, see [`RefusalKind`]; 0 where there is none.
    pub code: u16,
    /// The reason, as the client was told: at most 512 bytes of it, and without what came in place of a signature.
    pub text: Box<str>,
    /// The channel that it concerns, if it concerns one.
    pub channel: Option<Box<str>>,
    /// The path of an HTTP request, without its query.
    pub path: Option<Box<str>>,
    /// The id of that request, which the answer has in `x-request-id`; a request for a WebSocket has none.
    pub request_id: Option<Box<str>>,
}

/// How often something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusalCount {
    /// The id of the app, where that is known.
    pub(crate) app: Option<Box<str>>,
    pub(crate) kind: RefusalKind,
    pub(crate) code: u16,
    pub(crate) count: u64,
}

/// The app's place, where it is known, with kind and code.
type Reason = (Option<u32>, RefusalKind, u16);

/// All refusals of a server. A refusal is rare beside what is delivered, so one lock is enough.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counts: BTreeMap<Reason, u64>,
    latest: VecDeque<Refusal>,
}

impl Refusals {
    fn note(&self, app: Option<(u32, &App)>, refused: &Refused<'_>, at_ms: u64) {
        let noted = Refusal {
            at_ms,
            app: app.map(|(_, app)| app.id.clone()),
            kind: refused.kind,
            code: refused.code,
            text: beginning(refused.text).into(),
            channel: refused.channel.map(|channel| beginning(channel).into()),
            path: refused.path.map(|path| beginning(path).into()),
            request_id: refused.request_id.map(Into::into),
        };
        let reason = (app.map(|(index, _)| index), refused.kind, refused.code);
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.counts.len() < MAX_COUNTS || book.counts.contains_key(&reason) {
            let count = book.counts.entry(reason).or_default();
            *count = count.saturating_add(1);
        }
        if book.latest.len() == KEPT {
            book.latest.pop_front();
        }
        book.latest.push_back(noted);
    }
}

/// The beginning of a text, cut between two characters.
fn beginning(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

impl Hub {
    /// Notes that something was refused. Everything that the server refuses passes here.
    pub(crate) fn refused(&self, app: Option<&Arc<App>>, refused: Refused<'_>) {
        let app = app.map(|app| (app.index(), &**app));
        self.book().note(app, &refused, now_ms());
    }

    /// How often what was refused.
    pub(crate) fn refusal_counts(&self) -> Vec<RefusalCount> {
        let book = self.book().0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = |index: u32| self.apps().get(index).map(|app| app.id.clone());
        let count = |(reason, count): (&Reason, &u64)| {
            let (app, kind, code) = *reason;
            RefusalCount { app: app.and_then(id), kind, code, count: *count }
        };
        book.counts.iter().map(count).collect()
    }

    /// How much was refused to an app, and to who named none that there is.
    pub(crate) fn refused_of(&self, app: &App) -> u64 {
        let book = self.book().0.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = |at: &Option<u32>| at.is_none_or(|index| index == app.index());
        book.counts.iter().filter(|((at, ..), _)| concerned(at)).map(|(_, count)| count).sum()
    }

    /// The latest refusals, the newest last.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let book = self.book().0.lock().unwrap_or_else(PoisonError::into_inner);
        book.latest.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, text: &str) -> Refused<'_> {
        Refused::new(RefusalKind::Http, code, text)
    }

    fn latest(refusals: &Refusals) -> Vec<Refusal> {
        refusals.0.lock().unwrap().latest.iter().cloned().collect()
    }

    #[test]
    fn the_latest_hundred_are_kept_and_all_are_counted() {
        let refusals = Refusals::default();
        let app = App::new("1", "k", "s");
        for at_ms in 0..250 {
            refusals.note(Some((0, &app)), &refused(400 + (at_ms % 2) as u16, "no"), at_ms);
        }
        let kept = latest(&refusals);
        assert_eq!(kept.len(), KEPT);
        assert_eq!((kept[0].at_ms, kept[99].at_ms), (150, 249));
        assert_eq!(kept[0].app.as_deref(), Some("1"));
        let counts = &refusals.0.lock().unwrap().counts;
        let expected =
            [((Some(0), RefusalKind::Http, 400), 125), ((Some(0), RefusalKind::Http, 401), 125)];
        assert_eq!(counts.iter().map(|(r, n)| (*r, *n)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let refusals = Refusals::default();
        refusals.note(None, &refused(404, &"é".repeat(400)), 1);
        refusals.note(None, &refused(404, &format!("x{}", "é".repeat(400))), 1);
        let kept = latest(&refusals);
        assert_eq!(&*kept[0].text, "é".repeat(256));
        assert_eq!(&*kept[1].text, format!("x{}", "é".repeat(255)));
    }
}
