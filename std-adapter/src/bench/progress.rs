//! What a run shows while it goes on.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};

use super::report::grouped;
use super::schedule::SECOND;

/// How long a delivery may be under way before it is shown as lost.
const GRACE: u64 = SECOND;

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// WebSocket connections that are open or being opened.
    pub(crate) open: usize,
    /// Publishes that the server accepted.
    pub(crate) sent: u64,
    /// Deliveries that should follow from them.
    pub(crate) expected: u64,
    /// Deliveries.
    pub(crate) delivered: u64,
}

/// One line on standard error: rewritten in place on a terminal, a new one each second elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    phase: String,
    since: u64,
    span: Option<u64>,
    next: u64,
    /// How much was expected at some moments of the last second.
    expected: VecDeque<(u64, u64)>,
}

impl Progress {
    /// Shows nothing before the first phase begins.
    pub(crate) fn new() -> Self {
        Self::for_output(io::stderr().is_terminal())
    }

    fn for_output(terminal: bool) -> Self {
        let (phase, expected) = (String::new(), VecDeque::new());
        Self { terminal, phase, since: 0, span: None, next: 0, expected }
    }

    /// Begins a phase that is expected to take `span` nanoseconds, if that is known.
    pub(crate) fn begin(&mut self, now: u64, phase: &str, span: Option<u64>) {
        phase.clone_into(&mut self.phase);
        self.since = now;
        self.span = span;
        self.next = now + self.interval();
        self.expected.clear();
    }

    /// Shows the counts, if it is time to.
    #[inline]
    pub(crate) fn tick(&mut self, now: u64, counts: Counts) {
        if now >= self.next && !self.phase.is_empty() {
            self.next = now + self.interval();
            let line = self.line(now, counts);
            self.show(&line);
        }
    }

    const fn interval(&self) -> u64 {
        if self.terminal { SECOND / 5 } else { SECOND }
    }

    /// Takes the line off a terminal, so that the result stands alone.
    pub(crate) fn finish(&mut self) {
        self.phase.clear();
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    // A run whose standard error is gone is still worth finishing, so failures to write are ignored.
    fn show(&self, line: &str) {
        let mut stderr = io::stderr().lock();
        let _ = if self.terminal {
            write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }

    fn line(&mut self, now: u64, counts: Counts) -> String {
        self.expected.push_back((now, counts.expected));
        while self.expected.get(1).is_some_and(|&(at, _)| at + GRACE <= now) {
            self.expected.pop_front();
        }
        let due =
            self.expected.front().filter(|&&(at, _)| at + GRACE <= now).map_or(0, |&(_, due)| due);
        let seconds = (now - self.since) / SECOND;
        let time = match self.span {
            Some(span) => format!("{seconds}/{} s", span.div_ceil(SECOND)),
            None => format!("{seconds} s"),
        };
        format!(
            "{} {time}: {} connections, {} sent, {} delivered, {} lost",
            self.phase,
            grouped(&counts.open.to_string()),
            grouped(&counts.sent.to_string()),
            grouped(&counts.delivered.to_string()),
            grouped(&due.saturating_sub(counts.delivered).to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_phase_time_and_counts() {
        let mut progress = Progress::for_output(false);
        progress.begin(SECOND, "publishing", Some(8 * SECOND));
        let counts = Counts { open: 1000, sent: 300, expected: 300_000, delivered: 299_000 };
        assert_eq!(
            progress.line(4 * SECOND, counts),
            "publishing 3/8 s: 1,000 connections, 300 sent, 299,000 delivered, 0 lost"
        );
    }

    #[test]
    fn a_delivery_counts_as_lost_once_it_is_a_second_late() {
        let mut progress = Progress::for_output(false);
        progress.begin(0, "publishing", None);
        let counts = |expected, delivered| Counts { open: 1, sent: 1, expected, delivered };
        assert!(progress.line(SECOND, counts(100, 90)).ends_with("90 delivered, 0 lost"));
        assert!(progress.line(2 * SECOND, counts(200, 90)).ends_with("90 delivered, 10 lost"));
        assert!(progress.line(3 * SECOND, counts(300, 200)).ends_with("200 delivered, 0 lost"));
    }
}
