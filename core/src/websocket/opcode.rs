//! What a frame is: its opcode, and the kind of a data message.

/// The opcode of a frame (RFC 6455 section 5.2); 3 to 7 and 11 to 15 are reserved and have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message that is under way.
    Continuation = 0x0,
    /// The first or only fragment of a text message.
    Text = 0x1,
    /// The first or only fragment of a binary message.
    Binary = 0x2,
    /// The begin of, or the answer in, the closing handshake.
    Close = 0x8,
    /// A question whether the peer is alive.
    Ping = 0x9,
    /// The answer to a ping, or an unasked sign of life.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with these four bits; `None` for a reserved one.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether frames of this kind are control frames: never fragmented, at most 125 bytes of payload
    /// (RFC 6455 section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// The two kinds of message (RFC 6455 section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    // As in the opcode; and so that no message under way is zeros, which cost no flash in a static.
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes of any meaning.
    Binary = 0x2,
}

impl MessageKind {
    /// The opcode of the message's first frame.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_six_defined_opcodes_have_a_value() {
        for bits in 0..=0xFF {
            match Opcode::from_bits(bits) {
                Some(opcode) => assert_eq!(opcode.bits(), bits),
                None => assert!(!matches!(bits, 0..=2 | 8..=10), "{bits:#x}"),
            }
        }
    }

    #[test]
    fn close_ping_and_pong_are_control_frames() {
        let control: std::vec::Vec<_> =
            (0..16).filter_map(Opcode::from_bits).filter(|opcode| opcode.is_control()).collect();
        assert_eq!(control, [Opcode::Close, Opcode::Ping, Opcode::Pong]);
    }
}
