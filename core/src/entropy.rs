//! Where masking keys and jitter come from.

/// A source of unpredictable bytes, such as a hardware generator or the system's.
///
/// RFC 6455 section 10.3 asks for masking keys from a strong source.
pub trait Entropy {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}
