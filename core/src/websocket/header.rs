//! The header of a frame: 2 to 14 bytes.

use super::error::PeerError;
use super::opcode::Opcode;
use crate::error::TxFull;
use crate::io::{Parse, TxBuf};

#[cfg(test)]
mod tests;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
/// The 7-bit length that announces a 16-bit one.
const LEN_16: u8 = 126;
/// The 7-bit length that announces a 64-bit one.
const LEN_64: u8 = 127;

/// The largest length that a frame can have.
const MAX_LEN: u64 = i64::MAX as u64;

/// The longest payload of a control frame (RFC 6455 section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// A frame's header (RFC 6455 section 5.2).
///
/// ```
/// use tidings_core::io::{Parse, TxBuf};
/// use tidings_core::websocket::Header;
///
/// let mut memory = [0; Header::MAX_LEN];
/// let mut tx = TxBuf::new(&mut memory);
/// let header = Header::text(300).masked([1, 2, 3, 4]);
/// header.encode(&mut tx).unwrap();
/// assert_eq!(tx.written(), [0x81, 0x80 | 126, 0x01, 0x2C, 1, 2, 3, 4]);
/// assert_eq!(Header::parse(tx.written()), Ok(Parse::Done { value: header, consumed: 8 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, on frames from the client to the server.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload; below 2^63.
    pub len: u64,
}

impl Header {
    /// The longest header: two bytes, a 64-bit length, a masking key.
    pub const MAX_LEN: usize = 14;

    /// An unmasked frame that is a whole message or a control frame.
    #[must_use]
    pub const fn new(opcode: Opcode, len: u64) -> Self {
        Self { fin: true, opcode, mask: None, len }
    }

    /// An unmasked whole text message of `len` bytes.
    #[must_use]
    pub const fn text(len: u64) -> Self {
        Self::new(Opcode::Text, len)
    }

    /// An unmasked whole binary message of `len` bytes.
    #[must_use]
    pub const fn binary(len: u64) -> Self {
        Self::new(Opcode::Binary, len)
    }

    /// The same header with a masking key.
    #[must_use]
    pub const fn masked(mut self, key: [u8; 4]) -> Self {
        self.mask = Some(key);
        self
    }

    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let length: usize = match self.len {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        if self.mask.is_some() { length.wrapping_add(4) } else { length }
    }

    /// Reads the header at the start of `input`.
    ///
    /// # Errors
    /// The rules that a header can break by itself: [`PeerError::ReservedBits`],
    /// [`PeerError::ReservedOpcode`], [`PeerError::ControlFragmented`], [`PeerError::ControlTooLong`],
    /// [`PeerError::LengthNotMinimal`], [`PeerError::LengthTopBit`]. Each is reported as soon as the
    /// bytes that break it are there.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Parse<Self>, PeerError> {
        if cfg!(feature = "small") {
            return Self::parse_bytewise(input);
        }
        let Some((&[first, second], rest)) = input.split_first_chunk::<2>() else {
            return Self::parse_first(input);
        };
        let opcode = check_first(first)?;
        let short = second & !MASKED;
        if opcode.is_control() && short > 125 {
            return Err(PeerError::ControlTooLong);
        }
        let (len, rest, taken) = match short {
            LEN_16 => {
                let Some((&bytes, rest)) = rest.split_first_chunk::<2>() else {
                    return Ok(missing(2, rest));
                };
                let len = u16::from_be_bytes(bytes);
                if len <= 125 {
                    return Err(PeerError::LengthNotMinimal);
                }
                (u64::from(len), rest, 4_usize)
            }
            LEN_64 => {
                let Some((&bytes, rest)) = rest.split_first_chunk::<8>() else {
                    return Ok(missing(8, rest));
                };
                let len = u64::from_be_bytes(bytes);
                if len > MAX_LEN {
                    return Err(PeerError::LengthTopBit);
                }
                if len <= 0xFFFF {
                    return Err(PeerError::LengthNotMinimal);
                }
                (len, rest, 10)
            }
            _ => (u64::from(short), rest, 2),
        };
        let fin = first & FIN != 0;
        if second & MASKED == 0 {
            let value = Self { fin, opcode, mask: None, len };
            return Ok(Parse::Done { value, consumed: taken });
        }
        let Some((&key, _)) = rest.split_first_chunk::<4>() else {
            return Ok(missing(4, rest));
        };
        let value = Self { fin, opcode, mask: Some(key), len };
        Ok(Parse::Done { value, consumed: taken.wrapping_add(4) })
    }

    /// As [`parse`](Self::parse) in few instructions.
    #[inline]
    fn parse_bytewise(input: &[u8]) -> Result<Parse<Self>, PeerError> {
        let [first, rest @ ..] = input else { return Ok(missing(2, input)) };
        let opcode = check_first(*first)?;
        let [second, rest @ ..] = rest else { return Ok(missing(1, rest)) };
        let short = second & !MASKED;
        if opcode.is_control() && short > 125 {
            return Err(PeerError::ControlTooLong);
        }
        let (long, least) = match short {
            LEN_16 => (2, 126),
            LEN_64 => (8, 0x1_0000),
            _ => (0, 0),
        };
        let Some((bytes, behind)) = rest.split_at_checked(long) else {
            return Ok(missing(long, rest));
        };
        let mut len = if long == 0 { u64::from(short) } else { 0 };
        for byte in bytes {
            len = len << 8 | u64::from(*byte);
        }
        if len > MAX_LEN {
            return Err(PeerError::LengthTopBit);
        }
        if len < least {
            return Err(PeerError::LengthNotMinimal);
        }
        let mut header = Self { fin: first & FIN != 0, opcode, mask: None, len };
        let mut consumed = long.wrapping_add(2);
        if second & MASKED != 0 {
            let Some(key) = behind.first_chunk::<4>() else { return Ok(missing(4, behind)) };
            header.mask = Some(*key);
            consumed = consumed.wrapping_add(4);
        }
        Ok(Parse::Done { value: header, consumed })
    }

    /// Judges a header of which at most the first byte is there.
    #[cold]
    fn parse_first(input: &[u8]) -> Result<Parse<Self>, PeerError> {
        if let Some(&first) = input.first() {
            check_first(first)?;
        }
        Ok(missing(2, input))
    }

    /// Appends the header.
    ///
    /// # Errors
    /// [`TxFull`] when it does not fit, and for a length that no frame can have (2^63 and more).
    #[inline]
    pub fn encode(&self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let needed = self.encoded_len();
        tx.reserve(needed)?;
        if self.write(tx.spare_mut()).is_none() {
            return Err(TxFull { at_least: usize::MAX });
        }
        tx.commit(needed);
        Ok(())
    }

    /// The first two bytes, and the length behind them, if it does not fit there, in `bytes`.
    #[inline]
    pub(crate) fn parts<'b>(&self, bytes: &'b mut [u8; 8]) -> ([u8; 2], &'b [u8]) {
        *bytes = self.len.to_be_bytes();
        let [.., low] = *bytes;
        let (form, from) = match self.len {
            0..=125 => (low, 8),
            126..=0xFFFF => (LEN_16, 6),
            _ => (LEN_64, 0),
        };
        let first = if self.fin { FIN } else { 0 } | self.opcode.bits();
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        ([first, masked | form], bytes.get(from..).unwrap_or_default())
    }

    /// Writes the header at the start of `out` and returns what is behind it.
    #[inline]
    pub(crate) fn write<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let bytes = self.len.to_be_bytes();
        let [.., high, low] = bytes;
        let first = if self.fin { FIN } else { 0 } | self.opcode.bits();
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        let rest = match self.len {
            0..=125 => {
                let (head, rest) = out.split_first_chunk_mut::<2>()?;
                *head = [first, masked | low];
                rest
            }
            126..=0xFFFF => {
                let (head, rest) = out.split_first_chunk_mut::<4>()?;
                *head = [first, masked | LEN_16, high, low];
                rest
            }
            0x1_0000..=MAX_LEN => {
                let (head, rest) = out.split_first_chunk_mut::<2>()?;
                *head = [first, masked | LEN_64];
                let (slot, rest) = rest.split_first_chunk_mut::<8>()?;
                *slot = bytes;
                rest
            }
            _ => return None,
        };
        let Some(key) = self.mask else {
            return Some(rest);
        };
        let (slot, rest) = rest.split_first_chunk_mut::<4>()?;
        *slot = key;
        Some(rest)
    }
}

/// Checks what the first byte tells: reserved bits, opcode, no fragmented control frame.
#[inline]
const fn check_first(first: u8) -> Result<Opcode, PeerError> {
    if first & RESERVED != 0 {
        return Err(PeerError::ReservedBits);
    }
    let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
        return Err(PeerError::ReservedOpcode);
    };
    if opcode.is_control() && first & FIN == 0 {
        return Err(PeerError::ControlFragmented);
    }
    Ok(opcode)
}

/// Says that a part of `wanted` bytes is not yet whole.
const fn missing(wanted: usize, have: &[u8]) -> Parse<Header> {
    Parse::NeedMore { at_least: wanted.saturating_sub(have.len()) }
}
