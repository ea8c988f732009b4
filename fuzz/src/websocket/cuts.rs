//! How a stream is cut into reads.

/// The lengths of the reads in which a stream arrives: all of it at once for 0, that many bytes for a seed up to 127,
/// else lengths of 1 to 40 that follow from the seed.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    seed: u8,
    state: u32,
}

impl Cuts {
    pub(super) fn new(seed: u8) -> Self {
        Self { seed, state: u32::from(seed) }
    }

    /// Splits the next read off the front of `stream`.
    pub(super) fn take<'s>(&mut self, stream: &mut &'s [u8]) -> &'s [u8] {
        let len = match self.seed {
            0 => stream.len(),
            1..=127 => usize::from(self.seed),
            _ => {
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                1 + (self.state >> 16) as usize % 40
            }
        };
        let (read, rest) = stream.split_at(len.min(stream.len()));
        *stream = rest;
        read
    }
}
