//! The caller's buffers, and what one step of a machine reports about them.

use crate::error::TxFull;

/// The caller's output buffer: a machine appends whole frames or nothing.
///
/// ```
/// use tidings_core::io::TxBuf;
///
/// let mut memory = [0; 8];
/// let mut tx = TxBuf::new(&mut memory);
/// tx.put(b"hello").unwrap();
/// assert_eq!(tx.put(b"world").unwrap_err().at_least, 5);
/// assert_eq!(tx.written(), b"hello");
/// ```
#[derive(Debug)]
pub struct TxBuf<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> TxBuf<'b> {
    /// An empty buffer over `buf`.
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// The bytes that wait to be sent.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// How many bytes wait to be sent.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes still fit.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.buf.len().saturating_sub(self.len)
    }

    /// Forgets what was written, after it has been sent.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Cuts what was written back to its first `len` bytes; a longer `len` changes nothing.
    pub const fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
    }

    /// Drops the first `n` bytes, after a partial send; the rest moves to the front.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        self.len = self.len.saturating_sub(n);
        move_within(self.buf, n, 0, self.len);
    }

    /// Checks that `n` more bytes fit.
    ///
    /// # Errors
    /// [`TxFull`] with `at_least: n` when they don't.
    pub const fn reserve(&self, n: usize) -> Result<(), TxFull> {
        if self.remaining() < n { Err(TxFull { at_least: n }) } else { Ok(()) }
    }

    /// Appends `bytes`, all or none.
    ///
    /// # Errors
    /// [`TxFull`] when they don't fit.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), TxFull> {
        let full = TxFull { at_least: bytes.len() };
        let end = self.len.checked_add(bytes.len()).ok_or(full)?;
        copy(bytes, self.buf.get_mut(self.len..end).ok_or(full)?);
        self.len = end;
        Ok(())
    }

    /// Appends bytes for which there is room.
    #[inline(never)]
    pub(crate) fn put_reserved(&mut self, bytes: &[u8]) {
        let written = self.put(bytes);
        debug_assert!(written.is_ok(), "room was checked for the whole");
    }

    /// The free part of the buffer, to be filled and then [committed](Self::commit).
    #[must_use]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.len..).unwrap_or_default()
    }

    /// The written bytes from `start` on, to be changed in place (a length filled in, a payload masked).
    #[must_use]
    pub fn written_mut(&mut self, start: usize) -> &mut [u8] {
        self.buf.get_mut(start..self.len).unwrap_or_default()
    }

    /// Counts `n` bytes of the free part as written; more than fit are not counted.
    pub fn commit(&mut self, n: usize) {
        self.len = self.len.saturating_add(n).min(self.buf.len());
    }

    /// Counts the free part but for its last `rest` bytes as written.
    #[inline]
    pub(crate) const fn commit_all_but(&mut self, rest: usize) {
        self.len = self.buf.len().saturating_sub(rest);
    }
}

/// The caller's input buffer: bytes from the transport, not yet consumed.
///
/// Server adapters may bring their own; a slice is all that the machines take.
#[derive(Debug)]
pub struct RxBuf<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> RxBuf<'b> {
    /// An empty buffer over `buf`.
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// The bytes that wait to be consumed.
    #[must_use]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(..self.len).unwrap_or_default()
    }

    /// How many bytes wait to be consumed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no bytes wait.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole size of the buffer.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.buf.len()
    }

    /// The free part, for the transport to read into; [commit](Self::commit) what was read.
    #[must_use]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.len..).unwrap_or_default()
    }

    /// Counts `n` bytes of the free part as filled; more than fit are not counted.
    pub fn commit(&mut self, n: usize) {
        self.len = self.len.saturating_add(n).min(self.buf.len());
    }

    /// Drops the first `n` bytes; the rest moves to the front.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        self.len = self.len.saturating_sub(n);
        move_within(self.buf, n, 0, self.len);
    }

    /// Forgets everything, for a new connection.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

/// What one call of a machine did.
#[must_use = "`consumed` bytes must be dropped from the front of the input"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<E> {
    /// Bytes to drop from the front of the input, once the event is done with.
    pub consumed: usize,
    /// What happened.
    pub progress: Progress<E>,
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<E> {
    /// Something for the caller; call again after it.
    Event(E),
    /// Work was done that the caller need not know of; call again.
    Advanced,
    /// Nothing more can be done before `at_least` further bytes of input are there.
    NeedInput {
        /// A lower bound, at least 1.
        at_least: usize,
    },
    /// Nothing was done: flush the output until `at_least` bytes are free, then call again with the same input.
    NeedOutput {
        /// The room that the step needs.
        at_least: usize,
    },
}

impl<E> Step<E> {
    /// A step that ends in an event.
    pub const fn event(consumed: usize, event: E) -> Self {
        Self { consumed, progress: Progress::Event(event) }
    }

    /// A step that changed something inside.
    pub const fn advanced(consumed: usize) -> Self {
        Self { consumed, progress: Progress::Advanced }
    }

    /// A step that lacks input.
    pub const fn need_input(at_least: usize) -> Self {
        Self { consumed: 0, progress: Progress::NeedInput { at_least } }
    }

    /// A step that lacks room for output.
    pub const fn need_output(at_least: usize) -> Self {
        Self { consumed: 0, progress: Progress::NeedOutput { at_least } }
    }
}

/// The outcome of parsing a prefix of the input.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parse<T> {
    /// The value is complete and took `consumed` bytes.
    Done {
        /// The parsed value.
        value: T,
        /// Its length in the input.
        consumed: usize,
    },
    /// The input ends too early: at least this many further bytes are needed.
    NeedMore {
        /// A lower bound, at least 1.
        at_least: usize,
    },
}

/// Copies `from` to `to`, up to the shorter one's end.
///
/// Unlike the standard library's way it holds no panic for unequal lengths, at any optimisation level; the
/// compiler makes the same call of it.
#[inline]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Bytes that [`move_within`] moves at a time. Small devices go without: there the code is what costs.
const BLOCK: usize = if cfg!(target_pointer_width = "64") { 64 } else { 1 };

/// Moves `len` bytes from `from` to `to`, which may overlap; bytes outside `bytes` are left out.
///
/// Without `copy_within`, whose checks are a panic path where code is made small.
#[inline(never)]
pub(crate) fn move_within(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    if from != to {
        move_blocks::<BLOCK>(bytes, from, to, len);
    }
}

#[inline(always)]
fn move_blocks<const BLOCK: usize>(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    let blocks = if BLOCK == 1 { 0 } else { len.checked_div(BLOCK).unwrap_or_default() };
    let rest = blocks.wrapping_mul(BLOCK);
    if to < from {
        for block in 0..blocks {
            move_part::<BLOCK>(bytes, from, to, block.wrapping_mul(BLOCK));
        }
        for at in rest..len {
            move_part::<1>(bytes, from, to, at);
        }
    } else {
        for at in (rest..len).rev() {
            move_part::<1>(bytes, from, to, at);
        }
        for block in (0..blocks).rev() {
            move_part::<BLOCK>(bytes, from, to, block.wrapping_mul(BLOCK));
        }
    }
}

/// Moves `N` bytes `at` behind `from` to as far behind `to`.
#[inline]
fn move_part<const N: usize>(bytes: &mut [u8], from: usize, to: usize, at: usize) {
    let from = bytes.get(from.wrapping_add(at)..).and_then(<[u8]>::first_chunk::<N>).copied();
    let to = bytes.get_mut(to.wrapping_add(at)..).and_then(<[u8]>::first_chunk_mut::<N>);
    if let (Some(from), Some(to)) = (from, to) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_takes_nothing() {
        let mut memory = [0; 4];
        let mut tx = TxBuf::new(&mut memory);
        tx.put(b"abc").unwrap();
        assert_eq!(tx.put(b"de"), Err(TxFull { at_least: 2 }));
        assert_eq!(tx.written(), b"abc");
        tx.put(b"d").unwrap();
        assert_eq!(tx.remaining(), 0);
    }

    #[test]
    fn consume_keeps_the_rest_in_order() {
        let mut memory = [0; 8];
        let mut rx = RxBuf::new(&mut memory);
        rx.spare_mut()[..5].copy_from_slice(b"abcde");
        rx.commit(5);
        rx.consume(2);
        assert_eq!(rx.filled_mut(), b"cde");
        rx.consume(99);
        assert!(rx.is_empty());
    }

    #[test]
    fn commit_stops_at_the_end_of_the_buffer() {
        let mut memory = [0; 4];
        let mut tx = TxBuf::new(&mut memory);
        tx.commit(usize::MAX);
        assert_eq!(tx.len(), 4);
    }

    #[test]
    fn bytes_are_moved_as_the_standard_library_moves_them() {
        let bytes: std::vec::Vec<u8> = (0..=255).collect();
        for (from, to) in [(0, 1), (1, 0), (0, 70), (70, 0), (3, 3), (10, 75), (128, 0), (0, 128)] {
            for len in [0, 1, 5, 63, 64, 65, 128] {
                let (mut moved, mut expected) = (bytes.clone(), bytes.clone());
                move_within(&mut moved, from, to, len);
                expected.copy_within(from..from + len, to);
                assert_eq!(moved, expected, "{len} bytes from {from} to {to}");
                let mut singly = bytes.clone();
                move_blocks::<1>(&mut singly, from, to, len);
                assert_eq!(singly, expected, "{len} bytes from {from} to {to}, one by one");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_there_are_not_moved() {
        let mut bytes = [1, 2, 3, 4];
        move_within(&mut bytes, 2, 0, 9);
        assert_eq!(bytes, [3, 4, 3, 4]);
        move_within(&mut bytes, usize::MAX, 0, 2);
        move_within(&mut bytes, 0, usize::MAX - 1, 3);
        assert_eq!(bytes[2..], [3, 4]);
    }
}
