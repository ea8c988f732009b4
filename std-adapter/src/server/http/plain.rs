//! The short way through HTTP/1.1, for requests as SDKs send them.
//!
//! An application server publishes on a kept-alive connection, one small request after the other, each
//! with a length. For these the general machinery of hyper costs more than all the rest of a publish,
//! so they are read here: head and body from the shard's buffer, one copy of both, one write. Whatever
//! is out of the ordinary (chunks, a feed, a page's origin, `Expect`, an upgrade, `Connection: close`, HTTP/1.0, a broken head)
//! goes on to hyper with all that was read, from that request on. The head's parser is the one that
//! hyper uses, so that the two never disagree on where a request ends.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Method;
use httparse::{EMPTY_HEADER, Header, Status};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::answer::{Answer, rate_headers};
use super::request_id::{REQUEST_ID, RequestId};
use super::{About, Admission, Call, admit_or_look_up, console, finish, log, perform, span, trace};
use crate::config::ServerConfig;
use crate::server::shard::Shard;
use crate::server::socket::Stream;

/// Headers that a request of an SDK may have; one with more goes to hyper.
const MAX_HEADERS: usize = 32;

/// How the short way ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With the connection.
    Closed,
    /// At a request that is for hyper; these bytes have been read and not dealt with.
    Foreign(Vec<u8>),
}

/// Answers requests until one comes that is for hyper, or the peer or the server ends it. `read` came
/// first.
pub(super) async fn serve(shard: &Rc<Shard>, stream: &Stream, read: Vec<u8>) -> Ended {
    let config = || shard.hub.config();
    let mut input = read;
    let mut out = Vec::new();
    let mut idle = pin!(tokio::time::sleep(config().keep_alive_timeout));
    let mut draining = pin!(shard.draining());
    loop {
        let rest = match answer_all(shard, input, &mut out).await {
            Rest::Partial(rest) => rest,
            Rest::Foreign(rest) => {
                let sent = write_all(stream, &mut out).await;
                return if sent.is_ok() { Ended::Foreign(rest) } else { Ended::Closed };
            }
        };
        if write_all(stream, &mut out).await.is_err() {
            return Ended::Closed;
        }
        let patience =
            if rest.is_empty() { config().keep_alive_timeout } else { config().handshake_timeout };
        let since = Instant::now();
        // The timer is not moved for each request: it looks again when it is due.
        if idle.deadline() > since + patience {
            idle.as_mut().reset(since + patience);
        }
        input = loop {
            tokio::select! {
                biased;
                ready = stream.readable() => match ready.and_then(|()| read_more(shard, stream, &rest)) {
                    Ok(Some(input)) => break input,
                    Ok(None) => {}
                    Err(_) => return Ended::Closed,
                },
                () = idle.as_mut() => {
                    if Instant::now() >= since + patience {
                        return Ended::Closed;
                    }
                    idle.as_mut().reset(since + patience);
                }
                // A request that has begun is still answered, by hyper, which then closes.
                () = draining.as_mut() => {
                    return if rest.is_empty() { Ended::Closed } else { Ended::Foreign(rest) };
                }
            }
        };
    }
}

/// What has been read, and what comes now; `None` when nothing has come after all.
fn read_more(shard: &Shard, stream: &Stream, before: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut scratch = shard.scratch.borrow_mut();
    match stream.try_read(&mut scratch.rx) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            if n < scratch.rx.len() {
                stream.expect_no_more();
            }
            Ok(Some([before, &scratch.rx[..n]].concat()))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes all of `out` and empties it.
async fn write_all(stream: &Stream, out: &mut Vec<u8>) -> io::Result<()> {
    let mut sent = 0;
    while let Some(rest) = out.get(sent..).filter(|rest| !rest.is_empty()) {
        match stream.try_write(rest) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    out.clear();
    out.shrink_to(KEPT);
    Ok(())
}

/// Room for answers that a connection keeps between requests.
const KEPT: usize = 256;

/// What is left when all whole requests are answered.
enum Rest {
    /// The beginning of a request, or nothing.
    Partial(Vec<u8>),
    /// Something for hyper.
    Foreign(Vec<u8>),
}

/// Answers every whole request at the front of `input` into `out`.
async fn answer_all(shard: &Shard, input: Vec<u8>, out: &mut Vec<u8>) -> Rest {
    let (hub, mut begun) = (&shard.hub, Instant::now());
    let mut input = Bytes::from(input);
    while !input.is_empty() {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match front(&mut request, &input, &hub.config()) {
            Front::Partial => break,
            Front::Foreign => return Rest::Foreign(input.into()),
            Front::Request(ordinary) => {
                let end = ordinary.head + ordinary.length;
                let call =
                    Call { method: &ordinary.method, path: ordinary.path, query: ordinary.query };
                // Dev mode has more paths than those of the API.
                if hub.faults().is_some() || console::is_for(hub, call.path) {
                    return Rest::Foreign(input.into());
                }
                let id = RequestId::new(ordinary.id);
                let (mut about, span) = (About::default(), span(&id));
                let trace = trace(call.method, call.path, &id);
                let answer = match admit_or_look_up(hub, &call, &mut about).await {
                    Ok(Admission::Wants(task)) if task.is_feed() => {
                        return Rest::Foreign(input.into());
                    }
                    Ok(Admission::Answered(answer)) => Ok(answer),
                    Ok(Admission::Wants(task)) => {
                        let body = input.slice(ordinary.head..end);
                        perform(hub, &call, task, &body)
                            .instrument(span.clone())
                            .instrument(trace.clone())
                            .await
                    }
                    Err(refusal) => Err(refusal),
                };
                let _within = span.enter();
                let answer = finish(hub, about.app.as_ref(), &call, &id, answer);
                write(&answer, &id, out);
                let now = Instant::now();
                let (status, bytes) =
                    (answer.status.as_u16(), (ordinary.length, answer.body.len()));
                let made = about.made(status, bytes, now - begun);
                log(&call, &made);
                trace.record("http.response.status_code", status);
                shard.requests.borrow_mut().note(&made);
                begun = now;
                input = input.slice(end..);
            }
        }
    }
    Rest::Partial(input.into())
}

/// What is at the front of the input.
enum Front<'i> {
    /// Not yet a whole request.
    Partial,
    /// Nothing for the short way.
    Foreign,
    Request(Ordinary<'i>),
}

/// A whole request as SDKs send them.
struct Ordinary<'i> {
    method: Method,
    path: &'i str,
    query: &'i str,
    /// The id that it came with.
    id: Option<&'i [u8]>,
    /// Bytes of the head.
    head: usize,
    /// Bytes of the body.
    length: usize,
}

fn front<'i>(
    request: &mut httparse::Request<'_, 'i>,
    input: &'i [u8],
    config: &ServerConfig,
) -> Front<'i> {
    let head = match request.parse(input) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) if input.len() <= config.max_head_bytes as usize => {
            return Front::Partial;
        }
        Ok(Status::Partial) | Err(_) => return Front::Foreign,
    };
    let too_long = head > config.max_head_bytes as usize
        || request.headers.len() > config.max_headers as usize;
    let method = match request.method {
        Some("GET") => Method::GET,
        Some("POST") => Method::POST,
        _ => return Front::Foreign,
    };
    let Some(target) = request.path.filter(|target| target.starts_with('/')) else {
        return Front::Foreign;
    };
    let Some(fields) = Fields::of(request.headers) else { return Front::Foreign };
    // hyper refuses what is too long, in the words that it has for it.
    if request.version != Some(1) || too_long || fields.length > config.max_body_bytes as usize {
        return Front::Foreign;
    }
    if input.len() - head < fields.length {
        return Front::Partial;
    }
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Fields { length, id } = fields;
    Front::Request(Ordinary { method, path, query, id, head, length })
}

/// What the headers of an ordinary request say.
#[derive(Default)]
struct Fields<'i> {
    length: usize,
    id: Option<&'i [u8]>,
}

impl<'i> Fields<'i> {
    /// `None` when a header asks for more than the short way can do.
    fn of(headers: &[Header<'i>]) -> Option<Self> {
        let mut fields = Self::default();
        let mut length_seen = false;
        for Header { name, value } in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match name.len() {
                6 if is("expect") => return None,
                6 if is("origin") => return None,
                7 if is("upgrade") => return None,
                10 if is("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => {
                    return None;
                }
                12 if is(REQUEST_ID) => fields.id = Some(value),
                14 if is("content-length") => {
                    if length_seen {
                        return None;
                    }
                    length_seen = true;
                    fields.length = decimal(value)?;
                }
                17 if is("transfer-encoding") => return None,
                _ => {}
            }
        }
        Some(fields)
    }
}

/// A number of nothing but digits, as RFC 9110 section 8.6 has the length.
fn decimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Writes an answer as it goes on the wire.
fn write(answer: &Answer, id: &RequestId, out: &mut Vec<u8>) {
    let Answer { status, content_type, extra, rate, body } = answer;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    let mut field = |name: &str, value: &[u8]| {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
    };
    if let Some(content_type) = content_type {
        field("content-type", content_type.as_bytes());
        field("content-length", itoa::Buffer::new().format(body.len()).as_bytes());
    }
    if let Some((name, value)) = extra {
        field(name.as_str(), value.as_bytes());
    }
    for (name, value) in rate.iter().flat_map(rate_headers) {
        field(name, itoa::Buffer::new().format(value).as_bytes());
    }
    field(REQUEST_ID, id.as_bytes());
    DATE.with_borrow_mut(|date| field("date", date.text(SystemTime::now())));
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { second: None, text: Vec::new() }) };
}

/// The value of the `Date` header, made anew once a second.
struct Date {
    second: Option<u64>,
    text: Vec<u8>,
}

impl Date {
    fn text(&mut self, now: SystemTime) -> &[u8] {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.text = httpdate::fmt_http_date(now).into_bytes();
        }
        &self.text
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
