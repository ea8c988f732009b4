//! What a connected socket sends.

use super::conn::Conn;
use super::policy;
use super::stream::Stream;
use crate::server::hub::Notice;
use crate::server::listener::Slot;
use crate::server::metrics::count;
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::shard::Shard;
use crate::server::steps::STEPS;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tidings_core::io::{Progress, TxBuf};
use tidings_core::pusher::server::{ServerConn, ServerEvent};

/// What to do after a read.
pub(super) enum Flow {
    /// Wait for more.
    Wait,
    /// Let other sockets have their turn, then read on.
    Yield,
    /// The peer owes reads: write before reading on.
    Congested,
    /// The connection is over; its last bytes may still be waiting to be sent.
    End,
    /// The peer broke a rule and has been told.
    Fail,
}

/// Reads from a socket until it ends, then takes it out of everything. `slot` is its place among the connections of its
/// address.
pub(super) async fn run(shard: Rc<Shard>, conn: Rc<Conn>, mut flow: Flow, slot: Option<Box<Slot>>) {
    loop {
        match flow {
            Flow::Wait => {
                if conn.stream().readable().await.is_err() {
                    break;
                }
            }
            Flow::Yield => tokio::task::yield_now().await,
            Flow::Congested => {
                if conn.stream().writable().await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            Flow::End | Flow::Fail => break,
        }
        flow = if conn.is_congested() { Flow::Congested } else { read(&shard, &conn) };
    }
    shard.leave_all(&conn);
    let patience = shard.hub.config().close_timeout;
    if conn.waiting() > 0 || matches!(flow, Flow::Fail) {
        Box::pin(last_words(&conn, patience, matches!(flow, Flow::Fail))).await;
    }
    shard.local.borrow_mut().remove(conn.at);
    count(&conn.traffic.disconnected, 1);
    conn.app.load().disconnect();
    let (app, socket_id) = (conn.app.index, conn.socket_id);
    shard.hub.notify(Notice::Disconnected { app, socket_id });
    conn.abort();
    drop(slot);
}

/// Gives what waits a bounded time to be sent, and the peer a chance to read it.
async fn last_words(conn: &Conn, patience: Duration, linger_after: bool) {
    let sent = tokio::time::timeout(patience, async {
        while conn.waiting() > 0 && conn.stream().writable().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    if sent.await.is_ok() && linger_after {
        linger(conn.stream(), patience).await;
    }
}

/// Says that nothing more comes and waits for the peer to end as well: closing with unread input would
/// destroy what the peer has not read yet.
pub(super) async fn linger(stream: &Stream, patience: Duration) {
    stream.shutdown_write();
    let _ = tokio::time::timeout(patience, async {
        let mut waste = [0; 1024];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut waste) {
                Ok(0) => return,
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {}
            }
        }
    })
    .await;
}

/// Writes all of `bytes`; the caller bounds its time.
pub(super) async fn write_all(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            // Also of a socket that this runtime has not asked about yet.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells a refused peer why, then waits for its part of the closing handshake.
pub(super) async fn part(shard: Rc<Shard>, stream: Stream, mut core: ServerConn, reply: Vec<u8>) {
    let (patience, protocol) = (shard.hub.config().close_timeout, shard.terms().protocol());
    let _ = tokio::time::timeout(patience, async {
        if write_all(&stream, &reply).await.is_err() {
            return;
        }
        let mut input = Vec::new();
        let mut memory = [0; 512];
        while stream.readable().await.is_ok() {
            let mut scratch = shard.scratch.borrow_mut();
            match stream.try_read(&mut scratch.rx) {
                Ok(0) => return,
                Ok(n) => input.extend_from_slice(&scratch.rx[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            drop(scratch);
            loop {
                let mut tx = TxBuf::new(&mut memory);
                match core.handle_input(&protocol, shard.now(), &mut input, &mut tx) {
                    Ok(step) => {
                        let done = match step.progress {
                            Progress::Event(ServerEvent::Closed(_)) => return,
                            Progress::NeedInput { .. } | Progress::NeedOutput { .. } => true,
                            Progress::Event(_) | Progress::Advanced => false,
                        };
                        let consumed = step.consumed;
                        input.drain(..consumed);
                        if done {
                            break;
                        }
                    }
                    Err(_) => return,
                }
            }
        }
    })
    .await;
    stream.say_goodbye();
}

/// Takes in what came together with the opening handshake.
pub(super) fn begin(shard: &Rc<Shard>, conn: &Rc<Conn>, mut leftover: Vec<u8>) -> Flow {
    if leftover.is_empty() {
        return Flow::Wait;
    }
    count(&conn.traffic.received_bytes, leftover.len());
    let mut tx_memory = std::mem::take(&mut shard.scratch.borrow_mut().tx);
    let flow = process(shard, conn, &mut leftover, &mut tx_memory);
    shard.scratch.borrow_mut().tx = tx_memory;
    flow
}

fn read(shard: &Rc<Shard>, conn: &Rc<Conn>) -> Flow {
    let mut scratch = shard.scratch.borrow_mut();
    let scratch = &mut *scratch;
    let n = match conn.stream().try_read(&mut scratch.rx) {
        Ok(0) => return Flow::End,
        Ok(n) => n,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Flow::Wait,
        Err(_) => return Flow::End,
    };
    count(&conn.traffic.received_bytes, n);
    let full = n == scratch.rx.len();
    if !full {
        conn.stream().expect_no_more();
    }
    match process(shard, conn, &mut scratch.rx[..n], &mut scratch.tx) {
        Flow::Wait if full => Flow::Yield,
        flow => flow,
    }
}

/// Runs the connection's machine over new input, behind what an earlier read has left.
fn process(shard: &Rc<Shard>, conn: &Rc<Conn>, input: &mut [u8], tx_memory: &mut [u8]) -> Flow {
    let mut tail = conn.tail.take();
    if tail.is_empty() {
        let (flow, used) = steps(shard, conn, input, tx_memory);
        if matches!(flow, Flow::Wait) {
            *conn.tail.borrow_mut() = input.get(used..).unwrap_or_default().to_vec();
        }
        return flow;
    }
    tail.extend_from_slice(input);
    let (flow, used) = steps(shard, conn, &mut tail, tx_memory);
    tail.drain(..used);
    if tail.is_empty() {
        tail = Vec::new(); // an idle socket holds no buffer
    }
    *conn.tail.borrow_mut() = tail;
    flow
}

fn steps(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    input: &mut [u8],
    tx_memory: &mut [u8],
) -> (Flow, usize) {
    let mut tx = TxBuf::new(tx_memory);
    let (mut used, mut frames) = (0, 0);
    let protocol = conn.terms.protocol();
    let now = shard.now();
    let flow = loop {
        let rest = input.get_mut(used..).unwrap_or_default();
        let step = conn.core.borrow_mut().handle_input(&protocol, now, rest, &mut tx);
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                tracing::debug!(target: STEPS, socket_id = %conn.socket_id, %error, "protocol violation");
                let (code, text) = (error.close_code().as_u16(), error.to_string());
                let refused = Refused::new(RefusalKind::Protocol, code, &text);
                shard.hub.refused(Some(&conn.app.load()), refused);
                let _ = conn.core.borrow_mut().fail(error, &mut tx);
                break Flow::Fail;
            }
        };
        match step.progress {
            Progress::Event(ServerEvent::Closed(closed)) => {
                tracing::debug!(target: STEPS, socket_id = %conn.socket_id, ?closed, "closed");
                break Flow::End;
            }
            Progress::Event(event) => {
                flush(shard, conn, &mut tx);
                policy::handle(shard, conn, event, now);
            }
            Progress::Advanced => {}
            Progress::NeedInput { .. } => break Flow::Wait,
            Progress::NeedOutput { .. } if tx.is_empty() => {
                debug_assert!(false, "the output buffer takes every reply");
                break Flow::Fail;
            }
            Progress::NeedOutput { .. } => flush(shard, conn, &mut tx),
        }
        used += step.consumed;
        frames += usize::from(step.consumed > 0);
    };
    flush(shard, conn, &mut tx);
    count(&conn.traffic.received_frames, frames);
    (flow, used)
}

fn flush(shard: &Rc<Shard>, conn: &Rc<Conn>, tx: &mut TxBuf<'_>) {
    if !tx.is_empty() {
        let sent = conn.send(tx.written());
        tx.clear();
        shard.resolve(conn, sent);
    }
}
