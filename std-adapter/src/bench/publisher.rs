//! Publishing when messages are due, over keep-alive HTTP connections or as client events.

use std::collections::{HashMap, VecDeque};

use super::engine::{ConnId, Engine, Note};
use super::error::BenchError;
use super::payload::Template;
use super::sign::Signer;
use super::stats::Times;

/// Times that a server may end the publisher's connections before the run is given up.
const MAX_RECONNECTS: u64 = 100_000;

#[derive(Debug)]
enum Via {
    /// One request in flight on each connection; the moments are when they were sent.
    Http { signer: Box<Signer>, idle: Vec<ConnId>, in_flight: HashMap<ConnId, u64> },
    /// One WebSocket that is subscribed to the channel.
    ClientEvent(ConnId),
}

/// Sends messages to channels in turn.
#[derive(Debug)]
pub(crate) struct Publisher {
    via: Via,
    templates: Vec<Template>,
    next_template: usize,
    /// Subscribers of each channel, who should all get a message.
    subscribers: u64,
    /// When the messages that wait for a free connection were due.
    queue: VecDeque<u64>,
    /// Messages that the server took.
    pub(crate) accepted: u64,
    /// Messages that it refused, or whose connection it ended before an answer.
    pub(crate) rejected: u64,
    /// Times that it ended a connection.
    pub(crate) reconnects: u64,
    /// From the request to its answer.
    pub(crate) request: Times,
}

impl Publisher {
    /// Publishes over `conns` HTTP connections to `channels` with `subscribers` each.
    pub(crate) fn http(
        engine: &mut Engine,
        conns: usize,
        channels: &[String],
        size: usize,
        subscribers: usize,
    ) -> Result<Self, BenchError> {
        let idle = (0..conns).map(|_| engine.open_publisher()).collect::<Result<Vec<_>, _>>()?;
        let signer = Box::new(Signer::new(engine.target()));
        let templates = channels.iter().map(|channel| Template::publish(channel, size)).collect();
        let via = Via::Http { signer, idle, in_flight: HashMap::new() };
        Ok(Self::new(via, templates, subscribers))
    }

    /// Sends client events on the connection `id`, which is subscribed to `channel` with `subscribers` others.
    pub(crate) fn client_event(id: ConnId, channel: &str, size: usize, subscribers: usize) -> Self {
        Self::new(Via::ClientEvent(id), vec![Template::client_event(channel, size)], subscribers)
    }

    fn new(via: Via, templates: Vec<Template>, subscribers: usize) -> Self {
        Self {
            via,
            templates,
            next_template: 0,
            subscribers: subscribers as u64,
            queue: VecDeque::new(),
            accepted: 0,
            rejected: 0,
            reconnects: 0,
            request: Times::new(),
        }
    }

    /// A message is due.
    pub(crate) fn push(&mut self, due: u64) {
        self.queue.push_back(due);
    }

    /// Messages that are due and not sent.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// Drops those.
    pub(crate) fn drop_backlog(&mut self) {
        self.queue.clear();
    }

    /// Messages that were sent and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        match &self.via {
            Via::Http { in_flight, .. } => in_flight.len(),
            Via::ClientEvent(_) => 0,
        }
    }

    /// How many deliveries should follow from `accepted` messages.
    pub(crate) const fn deliveries_of(&self, accepted: u64) -> u64 {
        accepted * self.subscribers
    }

    /// Sends what is due, as far as connections are free.
    pub(crate) fn pump(&mut self, engine: &mut Engine) -> Result<(), BenchError> {
        while let Some(&due) = self.queue.front() {
            let template = &mut self.templates[self.next_template];
            match &mut self.via {
                Via::Http { signer, idle, in_flight } => {
                    let Some(id) = idle.pop() else { return Ok(()) };
                    let body = template.fill(due, engine.take_seq());
                    in_flight.insert(id, engine.now());
                    engine.write(id, signer.publish(body));
                }
                Via::ClientEvent(id) => {
                    let message = template.fill(due, engine.take_seq());
                    engine.send_text(*id, message)?;
                    self.accepted += 1;
                    engine.tally.accept(self.subscribers);
                }
            }
            self.queue.pop_front();
            self.next_template = (self.next_template + 1) % self.templates.len();
        }
        Ok(())
    }

    /// Ends its HTTP connections.
    pub(crate) fn hang_up(self, engine: &mut Engine) {
        if let Via::Http { idle, in_flight, .. } = self.via {
            idle.into_iter().chain(in_flight.into_keys()).for_each(|id| engine.forget(id));
        }
    }

    /// Takes note of what happened on its connections.
    ///
    /// # Errors
    /// A refusal that will be repeated for each message (wrong key, too large), and a server that ends
    /// connections without end.
    pub(crate) fn on_note(&mut self, engine: &mut Engine, note: Note) -> Result<(), BenchError> {
        match note {
            Note::Answer { id, status } => self.on_answer(engine, id, status),
            Note::Closed { id, .. } => self.on_closed(engine, id),
            Note::Established(_) | Note::Ready(_) => Ok(()),
        }
    }

    fn on_answer(
        &mut self,
        engine: &mut Engine,
        id: ConnId,
        status: u16,
    ) -> Result<(), BenchError> {
        let Via::Http { idle, in_flight, .. } = &mut self.via else { return Ok(()) };
        let Some(sent) = in_flight.remove(&id) else { return Ok(()) };
        // If the connection was closed too, that note follows.
        idle.push(id);
        self.request.record(engine.now() - sent);
        match status {
            200 => {
                self.accepted += 1;
                engine.tally.accept(self.subscribers);
            }
            400..=499 if status != 429 => {
                let text = engine.tally.errors.last().cloned().unwrap_or_default();
                return Err(BenchError::Refused { what: "a publish", text });
            }
            _ => self.rejected += 1,
        }
        Ok(())
    }

    fn on_closed(&mut self, engine: &mut Engine, id: ConnId) -> Result<(), BenchError> {
        match &mut self.via {
            Via::ClientEvent(mine) if *mine == id => {
                Err(BenchError::Server("the server ended the connection that publishes".to_owned()))
            }
            Via::ClientEvent(_) => Ok(()),
            Via::Http { idle, in_flight, .. } => {
                let unanswered = in_flight.remove(&id).is_some();
                let at = idle.iter().position(|&other| other == id);
                if let Some(at) = at {
                    idle.swap_remove(at);
                }
                if !unanswered && at.is_none() {
                    return Ok(());
                }
                self.rejected += u64::from(unanswered);
                self.reconnects += 1;
                if self.reconnects > MAX_RECONNECTS {
                    let text = "the server keeps ending the connections that publish".to_owned();
                    return Err(BenchError::Server(text));
                }
                idle.insert(0, engine.open_publisher()?);
                Ok(())
            }
        }
    }
}
