//! What comes from the server.

use std::io::{self, Read as _};

use serde_json::Value;
use tidings_core::websocket::Opcode;

use super::super::error::BenchError;
use super::super::handshake;
use super::super::http::{self, Answer};
use super::super::{sign, wire};
use super::{ConnId, Engine, Note, Role, State};

/// A server's answer in a message of ours is cut to this many bytes.
const SHOWN: usize = 600;

impl Engine {
    /// Reads what is there; `to_the_end` when the peer has ended its side.
    pub(super) fn on_readable(&mut self, id: ConnId, to_the_end: bool) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_into(&mut scratch, id, to_the_end);
        self.scratch = scratch;
        outcome
    }

    fn read_into(&mut self, scratch: &mut [u8], id: ConnId, to_the_end: bool) -> io::Result<()> {
        while let Some(conn) = self.conns[id].as_mut() {
            // The start of a cut frame goes before the fresh bytes, which are thus never moved.
            let start = conn.partial.len();
            let Some((head, room)) =
                scratch.split_at_mut_checked(start).filter(|(_, room)| !room.is_empty())
            else {
                self.tally.complain(format!("more than {start} bytes in one piece"));
                self.forget(id);
                return Ok(());
            };
            let wanted = room.len();
            match conn.stream.read(room) {
                Ok(0) => self.forget(id),
                Ok(n) => {
                    head.copy_from_slice(&conn.partial);
                    conn.partial.clear();
                    let now = self.now();
                    self.on_bytes(id, &scratch[..start + n], now)?;
                    if n < wanted && !to_the_end {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.forget(id),
            }
        }
        Ok(())
    }

    fn on_bytes(&mut self, id: ConnId, buf: &[u8], now: u64) -> io::Result<()> {
        let mut at = 0;
        while at < buf.len() {
            let Some(conn) = self.conns[id].as_ref() else { return Ok(()) };
            let rest = &buf[at..];
            let used = match (&conn.role, &conn.state) {
                (Role::Publisher, _) => self.on_answer(id, rest),
                (_, State::Connecting | State::Upgrading(_)) => self.on_upgraded(id, rest),
                (_, State::Open | State::Closing) => self.on_frames(id, rest, now)?,
            };
            match used {
                0 => break,
                n => at += n,
            }
        }
        if let Some(conn) = self.conns[id].as_mut() {
            conn.partial.extend_from_slice(&buf[at..]);
        }
        Ok(())
    }

    fn on_answer(&mut self, id: ConnId, buf: &[u8]) -> usize {
        match http::parse_answer(buf) {
            Answer::Incomplete => 0,
            Answer::Whole { status, body, used, closes } => {
                if status != 200 {
                    let body = buf[body..used].trim_ascii();
                    self.tally.complain(format!("HTTP {status}: {}", shown(body)));
                }
                self.notes.push(Note::Answer { id, status });
                if closes {
                    self.forget(id);
                }
                used
            }
            Answer::Invalid => {
                self.tally.complain(format!("not HTTP: {}", shown(buf)));
                self.forget(id);
                0
            }
        }
    }

    fn on_upgraded(&mut self, id: ConnId, buf: &[u8]) -> usize {
        let Some(conn) = self.conns[id].as_mut() else { return 0 };
        let State::Upgrading(awaiting) = &conn.state else { return 0 };
        match handshake::accepted(awaiting, buf) {
            Ok(None) => 0,
            Ok(Some(used)) => {
                conn.state = State::Open;
                used
            }
            Err(why) => {
                let text = format!("{why}; it answered: {}", shown(buf));
                self.tally.complain(text.clone());
                self.fatal.get_or_insert(BenchError::Refused { what: "a WebSocket", text });
                self.forget(id);
                0
            }
        }
    }

    /// Handles whole frames; returns how many bytes they took, 0 for none.
    fn on_frames(&mut self, id: ConnId, buf: &[u8], now: u64) -> io::Result<usize> {
        let Some(conn) = self.conns[id].as_mut() else { return Ok(0) };
        let received = &mut self.tally.received;
        let counted =
            wire::count_deliveries(buf, now, received, &mut self.mark_hint, &mut conn.highest);
        let frame = match counted {
            Ok(used) if used > 0 => return Ok(used),
            counted => counted.and_then(|_| wire::parse(buf)),
        };
        match frame {
            Ok(None) => Ok(0),
            Ok(Some(frame)) => {
                self.on_frame(id, frame.opcode, frame.payload, now)?;
                Ok(frame.used)
            }
            Err(why) => {
                self.tally.complain(format!("the server broke WebSocket: {why}"));
                self.forget(id);
                Ok(0)
            }
        }
    }

    /// Handles a frame that is no delivery.
    fn on_frame(&mut self, id: ConnId, opcode: Opcode, payload: &[u8], now: u64) -> io::Result<()> {
        match opcode {
            Opcode::Text => self.on_protocol(id, payload, now),
            Opcode::Ping => self.send_frame(id, Opcode::Pong, payload),
            Opcode::Close => {
                let ours = self.conns[id]
                    .as_ref()
                    .is_some_and(|conn| matches!(conn.state, State::Closing));
                if !ours {
                    self.tally
                        .complain(format!("closed a connection: {}", wire::close_text(payload)));
                    // The server waits for the answer before it ends the connection.
                    self.send_frame(id, Opcode::Close, payload.get(..2).unwrap_or_default())?;
                }
                self.forget(id);
                Ok(())
            }
            Opcode::Binary | Opcode::Continuation | Opcode::Pong => Ok(()),
        }
    }

    /// Handles a message of the protocol itself.
    fn on_protocol(&mut self, id: ConnId, text: &[u8], now: u64) -> io::Result<()> {
        let Ok(message) = serde_json::from_slice::<Value>(text) else {
            self.tally.complain(format!("not JSON: {}", shown(text)));
            return Ok(());
        };
        match message["event"].as_str().unwrap_or_default() {
            "pusher:connection_established" => self.on_established(id, &message["data"], now),
            "pusher_internal:subscription_succeeded" => {
                self.on_subscribed(id, now);
                Ok(())
            }
            "pusher:ping" => self.send_text(id, br#"{"event":"pusher:pong","data":{}}"#),
            "pusher:error" | "pusher:subscription_error" => {
                self.on_error(&message);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_established(&mut self, id: ConnId, data: &Value, now: u64) -> io::Result<()> {
        let Some(conn) = self.conns[id].as_mut() else { return Ok(()) };
        self.tally.connect.record(now - conn.opened_at);
        self.notes.push(Note::Established(id));
        let Role::Subscriber { channels, .. } = &conn.role else { return Ok(()) };
        let channels = channels.clone();
        // `data` is JSON in a string; some servers send the object itself.
        let inner = data.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let data = inner.as_ref().unwrap_or(data);
        let socket_id = data["socket_id"].as_str().unwrap_or_default();
        for channel in &channels {
            let text = sign::subscribe(&self.target, socket_id, channel);
            self.send_text(id, text.as_bytes())?;
        }
        Ok(())
    }

    fn on_subscribed(&mut self, id: ConnId, now: u64) {
        let Some(conn) = self.conns[id].as_mut() else { return };
        let Role::Subscriber { channels, confirmed } = &mut conn.role else { return };
        *confirmed += 1;
        if *confirmed == channels.len() {
            self.tally.ready.record(now - conn.opened_at);
            self.notes.push(Note::Ready(id));
        }
    }

    /// Codes from 4000 to 4099 mean that it is of no use to try again (unknown app, app disabled, quota).
    fn on_error(&mut self, message: &Value) {
        let data = &message["data"];
        let text = match data["message"].as_str() {
            Some(words) => format!("{words} (code {})", data["code"]),
            None => message.to_string(),
        };
        if data["code"].as_u64().is_some_and(|code| (4000..4100).contains(&code)) {
            let what = "a connection";
            let refused = || BenchError::Refused { what, text: text.clone() };
            self.fatal.get_or_insert_with(refused);
        }
        self.tally.complain(text);
    }
}

/// The start of what a server sent, as text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).trim_end().to_owned()
}
