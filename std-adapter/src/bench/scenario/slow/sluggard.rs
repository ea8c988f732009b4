//! A subscriber that does not read until all is over.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use memchr::memmem;
use socket2::{Domain, Socket, Type};
use tidings_core::websocket::Opcode;

use super::super::super::error::BenchError;
use super::super::super::handshake::{self, Upgrade};
use super::super::super::server::Target;
use super::super::super::{payload, sign, wire};

/// How long to wait for the server, while subscribing and while reading at last.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to read at last.
const DRAIN: Duration = Duration::from_secs(60);

/// What a slow subscriber found when it read at last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Deliveries that had been kept for it.
    pub(super) messages: u64,
    /// The close code, if there was one.
    pub(super) code: Option<u16>,
    /// How it ended, in words.
    pub(super) words: String,
}

/// A connection with a small receive buffer.
#[derive(Debug)]
pub(super) struct Sluggard {
    stream: TcpStream,
    /// What came behind the confirmation of its subscription.
    rest: Vec<u8>,
}

impl Sluggard {
    /// Connects and subscribes to `channel`, and reads nothing from then on.
    ///
    /// # Errors
    /// When the server does not confirm in time.
    pub(super) fn subscribe(
        target: &Target,
        channel: &str,
        buffer: usize,
    ) -> Result<Self, BenchError> {
        let socket = Socket::new(Domain::for_address(target.addr), Type::STREAM, None)?;
        // Before connecting, since it decides the window that the server is offered.
        socket.set_recv_buffer_size(buffer)?;
        socket.set_tcp_nodelay(true)?;
        socket.connect(&target.addr.into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        let (request, awaiting) = Upgrade::new(target).start()?;
        stream.write_all(&request)?;
        let mut slow = Self { stream, rest: Vec::new() };
        let head = loop {
            slow.fill()?;
            let refused = |text| BenchError::Refused { what: "a WebSocket", text };
            if let Some(head) = handshake::accepted(&awaiting, &slow.rest).map_err(refused)? {
                break head;
            }
        };
        slow.rest.drain(..head);
        slow.wait_for("pusher:connection_established")?;
        let mut frame = Vec::new();
        wire::push_frame(
            &mut frame,
            Opcode::Text,
            sign::subscribe(target, "", channel).as_bytes(),
        )?;
        slow.stream.write_all(&frame)?;
        slow.wait_for("pusher_internal:subscription_succeeded")?;
        Ok(slow)
    }

    /// Reads until a message names `event`.
    fn wait_for(&mut self, event: &str) -> Result<(), BenchError> {
        loop {
            while let Some(frame) = wire::parse(&self.rest).map_err(BenchError::Server)? {
                let found = memmem::find(frame.payload, event.as_bytes()).is_some();
                let used = frame.used;
                self.rest.drain(..used);
                if found {
                    return Ok(());
                }
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), BenchError> {
        let mut chunk = [0; 4096];
        let end =
            || BenchError::Server("the server ended the slow subscriber's connection".to_owned());
        match self.stream.read(&mut chunk)? {
            0 => Err(end()),
            n => {
                self.rest.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }

    /// Reads everything that the server had for it.
    pub(super) fn read_at_last(mut self) -> Told {
        let mut told = Told::default();
        let stop = Instant::now() + DRAIN;
        let mut chunk = vec![0; 1 << 20];
        let mut said = Vec::new();
        let end = loop {
            if let Err(why) = self.count(&mut told, &mut said) {
                break why;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => break "then the end".to_owned(),
                Ok(n) => self.rest.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    break "and it is still connected".to_owned();
                }
                Err(error) => break format!("then {error}"),
            }
            if Instant::now() > stop {
                break "and it is still being sent to".to_owned();
            }
        };
        if said.is_empty() {
            said.push("nothing".to_owned());
        }
        if !self.rest.is_empty() {
            said.push("a cut frame".to_owned());
        }
        told.words = format!("{}, {end}", said.join(", "));
        told
    }

    /// Looks at the frames that are whole.
    fn count(&mut self, told: &mut Told, said: &mut Vec<String>) -> Result<(), String> {
        let mut at = 0;
        while let Some(frame) = wire::parse(&self.rest[at..])? {
            match frame.opcode {
                Opcode::Text if payload::find_mark(frame.payload, &mut 0).is_some() => {
                    told.messages += 1;
                }
                Opcode::Text => said.push(String::from_utf8_lossy(frame.payload).into_owned()),
                Opcode::Close => {
                    let code = frame.payload.first_chunk::<2>();
                    told.code = code.map(|code| u16::from_be_bytes(*code));
                    said.push(wire::close_text(frame.payload));
                }
                _ => {}
            }
            at += frame.used;
        }
        self.rest.drain(..at);
        Ok(())
    }
}
