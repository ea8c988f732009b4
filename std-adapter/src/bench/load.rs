//! Opening subscribers, publishing at a rate or as fast as it goes, and waiting.

use std::collections::HashMap;
use std::time::Duration;

use super::engine::{ConnId, Engine, Note};
use super::error::BenchError;
use super::process::{Meter, Taken};
use super::publisher::Publisher;
use super::schedule::{SECOND, Schedule};
use super::stats::Times;

/// Unfinished connections at once while subscribers are opened.
const RAMP_IN_FLIGHT: usize = 128;
/// How long connections may make no progress.
const STALLED: u64 = 15 * SECOND;
/// How long to wait for deliveries once they have ceased to come.
const QUIET: u64 = 3 * SECOND;
/// How long to wait for deliveries at all.
const DRAIN: u64 = 30 * SECOND;

/// Connections that were opened.
#[derive(Debug)]
pub(crate) struct Ramp {
    /// Their ids.
    pub(crate) ids: Vec<ConnId>,
    /// How long it took.
    pub(crate) secs: f64,
}

/// Opens `count` connections, connection `i` subscribed to `channels(i)`, and waits until all are ready.
///
/// # Errors
/// When too many are closed, or nothing happens for 15 seconds.
pub(crate) fn ramp(
    engine: &mut Engine,
    count: usize,
    channels: impl Fn(usize) -> Vec<String>,
) -> Result<Ramp, BenchError> {
    engine.begin("connecting", None);
    let started = engine.now();
    // Connections that are not ready, and whether they have channels to wait for.
    let mut pending: HashMap<ConnId, bool> = HashMap::new();
    let mut ids = Vec::with_capacity(count);
    let (mut opened, mut failed) = (0, 0);
    let mut progress = started;
    while ids.len() < count {
        while pending.len() < RAMP_IN_FLIGHT && ids.len() + pending.len() < count {
            let wanted = channels(opened);
            opened += 1;
            let waits = !wanted.is_empty();
            pending.insert(engine.open_subscriber(wanted)?, waits);
        }
        engine.step(engine.now() + SECOND / 10)?;
        for note in engine.take_notes() {
            match note {
                Note::Established(id) if pending.get(&id) == Some(&false) => {
                    pending.remove(&id);
                    ids.push(id);
                }
                Note::Ready(id) if pending.remove(&id).is_some() => ids.push(id),
                Note::Closed { id, .. } => {
                    failed += 1;
                    if pending.remove(&id).is_some() {
                        opened -= 1;
                    }
                    ids.retain(|&ready| ready != id);
                }
                _ => continue,
            }
            progress = engine.now();
        }
        if failed > 20 + count / 20 || engine.now() - progress > STALLED {
            return Err(not_ready(engine, ids.len(), count, failed));
        }
    }
    Ok(Ramp { ids, secs: (engine.now() - started) as f64 / 1e9 })
}

fn not_ready(engine: &Engine, ready: usize, count: usize, failed: usize) -> BenchError {
    let said = match engine.tally.errors.as_slice() {
        [] => "it gave no reason".to_owned(),
        errors => format!("it said: {}", errors.join("; ")),
    };
    BenchError::Server(format!(
        "only {ready} of {count} connections became ready, and the server ended {failed}; {said}\n  is its limit of open files high enough (`ulimit -n` where it was started), and its quota of connections?"
    ))
}

/// What to publish, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Messages a second.
    pub(crate) rate: f64,
    /// How long to publish before anything is measured.
    pub(crate) warm_secs: f64,
    /// How long to measure.
    pub(crate) secs: f64,
    /// Give up when the publishes of so many seconds wait for a free connection.
    pub(crate) give_up_backlog_secs: Option<f64>,
}

/// What came of a [`Plan`].
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Messages that the server accepted.
    pub(crate) published: u64,
    /// Messages that it did not.
    pub(crate) rejected: u64,
    /// Times that it ended a publisher's connection.
    pub(crate) reconnects: u64,
    /// Deliveries that should have come.
    pub(crate) expected: u64,
    /// Deliveries a second, from the first due to the last come.
    pub(crate) delivered_per_s: f64,
    /// From a publish to its answer.
    pub(crate) request: Times,
    /// How late the generator itself noticed that a message was due.
    pub(crate) late: Times,
    /// CPU over the measured span.
    pub(crate) taken: Taken,
    /// The backlog was too long.
    pub(crate) gave_up: bool,
}

/// A plan that is being carried out.
struct Drive<'e> {
    engine: &'e mut Engine,
    publisher: &'e mut Publisher,
    schedule: Schedule,
    /// The next message.
    next: u64,
    measured: Option<Measured>,
    late: Times,
    gave_up: bool,
}

/// Where the measured span began.
struct Measured {
    from: u64,
    accepted: u64,
    rejected: u64,
    reconnects: u64,
    meter: Meter,
}

/// Publishes at a fixed rate whatever the server does, and waits for the deliveries.
///
/// A message's latency counts from the moment it was due, so a server that stalls cannot hide its queue.
pub(crate) fn at_rate(
    engine: &mut Engine,
    publisher: &mut Publisher,
    plan: &Plan,
    pids: &[u32],
) -> Result<Outcome, BenchError> {
    let span = ((plan.warm_secs + plan.secs) * 1e9) as u64;
    engine.begin("publishing", Some(span));
    engine.tally.restart(engine.next_seq(), 0);
    let schedule =
        Schedule::new(engine.now() + SECOND / 1000, plan.rate, plan.warm_secs, plan.secs);
    let backlog = plan.give_up_backlog_secs.map(|secs| (plan.rate * secs) as usize);
    let late = Times::new();
    let mut drive =
        Drive { engine, publisher, schedule, next: 0, measured: None, late, gave_up: false };
    let mut ended = None;
    loop {
        let now = drive.engine.now();
        drive.enqueue(now, pids);
        if backlog.is_some_and(|limit| drive.publisher.backlog() > limit) {
            drive.give_up();
        }
        drive.publisher.pump(drive.engine)?;
        if drive.next >= schedule.total && drive.is_over(now, &mut ended) {
            break;
        }
        let until = if drive.next < schedule.total {
            schedule.due(drive.next)
        } else {
            drive.engine.now() + SECOND / 50
        };
        drive.step(until)?;
    }
    Ok(drive.outcome())
}

impl Drive<'_> {
    /// Enqueues what is due, and begins to measure when the warm-up is over.
    fn enqueue(&mut self, now: u64, pids: &[u32]) {
        while self.next < self.schedule.total && self.schedule.due(self.next) <= now {
            let due = self.schedule.due(self.next);
            if self.next == self.schedule.warm {
                self.begin_measuring(due, pids);
            }
            self.late.record(now - due);
            self.publisher.push(due);
            self.next += 1;
        }
    }

    fn begin_measuring(&mut self, from: u64, pids: &[u32]) {
        // Messages of the warm-up that wait or are unanswered take numbers and answers, but don't count.
        let waiting = self.publisher.backlog();
        let unanswered = (waiting + self.publisher.in_flight()) as u64;
        let first = self.engine.next_seq().wrapping_add(waiting as u32);
        self.engine.tally.restart(first, unanswered);
        self.publisher.request.reset();
        self.late.reset();
        self.measured = Some(Measured {
            from,
            accepted: self.publisher.accepted + unanswered,
            rejected: self.publisher.rejected,
            reconnects: self.publisher.reconnects,
            meter: Meter::start(pids),
        });
    }

    fn give_up(&mut self) {
        self.gave_up = true;
        self.next = self.schedule.total;
        self.publisher.drop_backlog();
    }

    fn step(&mut self, until: u64) -> Result<(), BenchError> {
        self.engine.step(until)?;
        for note in self.engine.take_notes() {
            self.publisher.on_note(self.engine, note)?;
        }
        Ok(())
    }

    fn published(&self) -> u64 {
        let before = self.measured.as_ref().map_or(u64::MAX, |measured| measured.accepted);
        self.publisher.accepted.saturating_sub(before)
    }

    /// Whether everything came, or has had its time to come.
    fn is_over(&self, now: u64, ended: &mut Option<u64>) -> bool {
        let ended = *ended.get_or_insert(now);
        if now > ended + DRAIN {
            return true;
        }
        if self.publisher.backlog() > 0 || self.publisher.in_flight() > 0 {
            return false;
        }
        let received = &self.engine.tally.received;
        let expected = self.publisher.deliveries_of(self.published());
        let complete = received.lost(expected) <= 0 && self.measured.is_some();
        complete || now > received.last_at.max(ended) + QUIET
    }

    fn outcome(self) -> Outcome {
        let published = self.published();
        let received = &self.engine.tally.received;
        let from = self.measured.as_ref().map_or(0, |measured| measured.from);
        let secs = received.last_at.saturating_sub(from) as f64 / 1e9;
        let measured = self.measured.as_ref();
        Outcome {
            published,
            rejected: self.publisher.rejected - measured.map_or(0, |measured| measured.rejected),
            reconnects: self.publisher.reconnects
                - measured.map_or(0, |measured| measured.reconnects),
            expected: self.publisher.deliveries_of(published),
            delivered_per_s: if secs > 0.0 { received.delivered as f64 / secs } else { 0.0 },
            request: self.publisher.request.clone(),
            taken: measured.map(|measured| measured.meter.stop()).unwrap_or_default(),
            late: self.late,
            gave_up: self.gave_up,
        }
    }
}

/// What came of publishing as fast as it goes.
#[derive(Debug)]
pub(crate) struct Requests {
    /// Requests that were answered with success.
    pub(crate) done: u64,
    /// Others.
    pub(crate) failed: u64,
    /// Times that the server ended a connection.
    pub(crate) reconnects: u64,
    /// How long it went on.
    pub(crate) secs: f64,
    /// From a request to its answer.
    pub(crate) request: Times,
    /// CPU over the measured span.
    pub(crate) taken: Taken,
}

/// Publishes for `secs` on `conns` connections with one request in flight each.
pub(crate) fn as_fast_as_it_goes(
    engine: &mut Engine,
    publisher: &mut Publisher,
    conns: usize,
    secs: f64,
    pids: &[u32],
) -> Result<Requests, BenchError> {
    const WARM: u64 = SECOND / 2;
    let measure = engine.now() + WARM;
    let stop = measure + (secs * 1e9) as u64;
    engine.begin("publishing", Some(stop - measure + WARM));
    engine.tally.restart(engine.next_seq(), 0);
    let mut measured: Option<Measured> = None;
    loop {
        let now = engine.now();
        if now >= measure && measured.is_none() {
            publisher.request.reset();
            measured = Some(Measured {
                from: now,
                accepted: publisher.accepted,
                rejected: publisher.rejected,
                reconnects: publisher.reconnects,
                meter: Meter::start(pids),
            });
        }
        if now >= stop {
            break;
        }
        while publisher.backlog() < conns {
            publisher.push(now);
        }
        publisher.pump(engine)?;
        engine.step((now + SECOND / 100).min(stop))?;
        for note in engine.take_notes() {
            publisher.on_note(engine, note)?;
        }
    }
    let Some(measured) = measured else {
        return Err(BenchError::Server("the run ended before it was measured".to_owned()));
    };
    Ok(Requests {
        done: publisher.accepted - measured.accepted,
        failed: publisher.rejected - measured.rejected,
        reconnects: publisher.reconnects - measured.reconnects,
        secs: (engine.now() - measured.from) as f64 / 1e9,
        request: publisher.request.clone(),
        taken: measured.meter.stop(),
    })
}

/// Keeps the connections alive for a while; returns how many the server ended.
pub(crate) fn linger(engine: &mut Engine, time: Duration) -> Result<usize, BenchError> {
    let until = engine.now() + time.as_nanos() as u64;
    let mut closed = 0;
    while engine.now() < until {
        engine.step(until)?;
        let notes = engine.take_notes();
        closed += notes.iter().filter(|note| matches!(note, Note::Closed { .. })).count();
    }
    Ok(closed)
}
