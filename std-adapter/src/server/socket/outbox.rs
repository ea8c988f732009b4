//! What a socket could not take yet: frames that wait, bounded in bytes.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;
use tidings_core::io::Parse;
use tidings_core::websocket::Header;

/// The most pieces that one vectored write carries.
const MAX_SLICES: usize = 64;

/// Whole frames in the order of their sending; only the front one may be partly sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Bytes>,
    /// Bytes of the front that the socket has taken already.
    sent: usize,
    /// Bytes that wait, without those already sent.
    waiting: usize,
    /// Whether a task waits for the socket to become writable.
    pub(crate) draining: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, frames: Bytes) {
        self.waiting = self.waiting.saturating_add(frames.len());
        self.queue.push_back(frames);
    }

    /// Queues `frames` of which the socket has taken the first `sent` bytes.
    pub(crate) fn push_started(&mut self, frames: Bytes, sent: usize) {
        debug_assert!(self.queue.is_empty(), "only the front may be partly sent");
        self.sent = sent;
        self.waiting = frames.len().saturating_sub(sent);
        self.queue.push_back(frames);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Hands the first waiting pieces to `write` and drops what it took.
    pub(crate) fn write_with<E>(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        for (slot, frames) in slices.iter_mut().zip(&self.queue) {
            let unsent = if count == 0 { frames.get(self.sent..) } else { Some(&frames[..]) };
            *slot = IoSlice::new(unsent.unwrap_or_default());
            count += 1;
        }
        let taken = write(&slices[..count])?;
        self.advance(taken);
        Ok(taken)
    }

    fn advance(&mut self, mut taken: usize) {
        self.waiting = self.waiting.saturating_sub(taken);
        while let Some(front) = self.queue.front() {
            let left = front.len().saturating_sub(self.sent);
            if taken < left {
                self.sent += taken;
                return;
            }
            taken -= left;
            self.sent = 0;
            self.queue.pop_front();
        }
    }

    /// Drops every frame of which no byte has been sent, so that what follows starts a frame. The first
    /// `begun` bytes that wait are as good as sent. Returns the number of bytes dropped.
    pub(crate) fn keep_started_frame(&mut self, begun: usize) -> usize {
        let before = self.waiting;
        let mut at = self.sent.saturating_add(begun);
        let mut kept = 0;
        for frames in &mut self.queue {
            if at == 0 {
                break;
            }
            frames.truncate(frame_end(frames, at.min(frames.len())));
            kept += 1;
            at = at.saturating_sub(frames.len());
        }
        self.queue.truncate(kept);
        let left: usize = self.queue.iter().map(Bytes::len).sum();
        self.waiting = left.saturating_sub(self.sent);
        if self.waiting == 0 {
            self.queue.clear();
            self.sent = 0;
        }
        before.saturating_sub(self.waiting)
    }
}

/// The end of the frame that byte `sent` lies in; `sent` itself when it is a boundary.
fn frame_end(frames: &[u8], sent: usize) -> usize {
    let mut at = 0;
    while at < sent {
        let Some(Ok(Parse::Done { value, consumed })) = frames.get(at..).map(Header::parse) else {
            return frames.len();
        };
        let payload = usize::try_from(value.len).unwrap_or(usize::MAX);
        at = at.saturating_add(consumed).saturating_add(payload).min(frames.len());
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three unmasked text frames of 1, 2 and 3 bytes.
    const FRAMES: &[u8] = b"\x81\x01a\x81\x02bc\x81\x03def";

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !outbox.is_empty() {
            let taken = outbox.write_with(|slices| {
                let bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                let n = step.min(bytes.len());
                out.extend_from_slice(&bytes[..n]);
                Ok::<_, ()>(n)
            });
            assert!(taken.unwrap() > 0);
        }
        out
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes_at_once() {
        for step in 1..30 {
            let mut outbox = Outbox::default();
            outbox.push_started(Bytes::from_static(FRAMES), 2);
            outbox.push(Bytes::from_static(b"xyz"));
            assert_eq!(outbox.waiting(), FRAMES.len() - 2 + 3);
            assert_eq!(drain(&mut outbox, step), [&FRAMES[2..], b"xyz"].concat());
            assert_eq!(outbox.waiting(), 0);
        }
    }

    #[test]
    fn a_cut_keeps_the_rest_of_the_started_frame_only() {
        for sent in 0..FRAMES.len() {
            let mut outbox = Outbox::default();
            outbox.push_started(Bytes::from_static(FRAMES), sent);
            outbox.push(Bytes::from_static(FRAMES));
            let waiting = outbox.waiting();
            let dropped = outbox.keep_started_frame(0);
            assert_eq!(dropped + outbox.waiting(), waiting);
            let end = [0, 3, 7, 12].into_iter().find(|end| *end >= sent).unwrap();
            outbox.push(Bytes::from_static(b"!"));
            assert_eq!(drain(&mut outbox, 5), [&FRAMES[sent..end], b"!"].concat(), "cut at {sent}");
        }
    }

    #[test]
    fn a_cut_keeps_every_frame_that_is_begun_in_a_layer_below() {
        let twice = [FRAMES, FRAMES].concat();
        let ends = [0, 3, 7, 12, 15, 19, 24];
        for sent in 0..FRAMES.len() {
            for begun in 0..=twice.len() - sent {
                let mut outbox = Outbox::default();
                outbox.push_started(Bytes::from_static(FRAMES), sent);
                outbox.push(Bytes::from_static(FRAMES));
                let waiting = outbox.waiting();
                let dropped = outbox.keep_started_frame(begun);
                assert_eq!(dropped + outbox.waiting(), waiting);
                let end = ends.into_iter().find(|end| *end >= sent + begun).unwrap();
                outbox.push(Bytes::from_static(b"!"));
                let left = drain(&mut outbox, 5);
                assert_eq!(left, [&twice[sent..end], b"!"].concat(), "{sent} sent, {begun} begun");
            }
        }
    }
}
