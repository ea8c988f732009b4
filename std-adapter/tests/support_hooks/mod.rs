//! The application's end of webhooks: a small HTTP server that answers as it is told and keeps what it got.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Long enough for any request on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Hook {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = |line: &&String| {
            line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        Some(self.head[1..].iter().find(found)?.split_once(':')?.1.trim())
    }

    /// The events of a request whose signature is right.
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.header("x-pusher-signature"), Some(&*sign("secret", &self.body)));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(body["time_ms"].is_u64(), "{body}");
        body["events"].as_array().unwrap().clone()
    }
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer with this status and nothing else.
pub fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} Text\r\nContent-Length: 0\r\n\r\n")
}

/// A running endpoint.
pub struct Receiver {
    pub url: String,
    hooks: mpsc::Receiver<Hook>,
    at_once: Arc<AtomicUsize>,
}

type Answer = dyn Fn(usize) -> String + Send + Sync;

impl Receiver {
    /// One that takes all.
    pub fn start() -> Self {
        Self::answering(|_| status(200))
    }

    /// One that answers the n-th request (from 0) with `answer(n)`; to an empty text it says nothing.
    pub fn answering(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?token=t", listener.local_addr().unwrap());
        let (sender, hooks) = mpsc::channel();
        let at_once = Arc::new(AtomicUsize::new(0));
        let (most, answer): (_, Arc<Answer>) = (Arc::clone(&at_once), Arc::new(answer));
        std::thread::spawn(move || {
            let (count, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            for stream in listener.incoming().flatten() {
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                let (count, running) = (Arc::clone(&count), Arc::clone(&running));
                let most = Arc::clone(&most);
                std::thread::spawn(move || {
                    serve(stream, |hook| {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        let text = answer(count.fetch_add(1, Ordering::SeqCst));
                        running.fetch_sub(1, Ordering::SeqCst);
                        let _ = sender.send(hook); // the test may have ended
                        text
                    });
                });
            }
        });
        Self { url, hooks, at_once }
    }

    pub fn next(&self) -> Hook {
        self.hooks.recv_timeout(PATIENCE).expect("a request")
    }

    /// The one event of the next request.
    pub fn event(&self) -> Value {
        let mut events = self.next().events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// The names of the next events, one a request.
    pub fn names(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.event()["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What has come and was not asked for yet.
    pub fn rest(&self) -> Vec<Hook> {
        self.hooks.try_iter().collect()
    }

    /// The most requests that ran at once.
    pub fn at_once(&self) -> usize {
        self.at_once.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, answer: impl Fn(Hook) -> String) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut hook = Hook { head, body: Vec::new() };
        let length = hook.header("content-length").map_or(0, |text| text.parse().unwrap());
        hook.body = vec![0; length];
        reader.read_exact(&mut hook.body).unwrap();
        if reader.get_mut().write_all(answer(hook).as_bytes()).is_err() {
            return;
        }
    }
}
