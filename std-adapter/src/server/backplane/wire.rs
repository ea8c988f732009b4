//! The frames that nodes send each other: a fixed head, then [postcard](https://postcard.jamesmunns.com).

use super::super::hub::Source;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// The first bytes of each frame: a mark, and the version of what follows.
const MARK: [u8; 2] = [b'T', 2];

/// Mark, flags, sender, receiver.
const HEAD: usize = 2 + 1 + 8 + 8;

/// The frame is sent after an outage.
const LATE: u8 = 1;

/// Who sends a frame to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) from: u64,
    /// 0 for all.
    pub(super) to: u64,
    pub(super) late: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Frame<'a> {
    /// What happens, numbered without a gap.
    Ops {
        seq: u64,
        /// The stamp of the first entry; each further one is two more.
        stamp: u64,
        #[serde(borrow)]
        ops: Vec<Op<'a>>,
    },
    /// A sign of life.
    Beat {
        /// The number of the last `Ops`.
        last: u64,
        ready: bool,
        lease_ms: u32,
        /// Connections by app.
        #[serde(borrow)]
        connections: Vec<(&'a str, u32)>,
    },
    /// Asks for all that the receiver has to tell.
    Ask { kept: bool },
    /// An answer to `Ask`, or a part of it.
    State {
        /// The number of the last `Ops` before it.
        seq: u64,
        part: u32,
        last: bool,
        #[serde(borrow)]
        ops: Vec<Op<'a>>,
    },
    /// The sender ends and has nothing any more.
    Bye,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Op<'a> {
    Entry {
        app: &'a str,
        channel: &'a str,
        event: &'a str,
        data: &'a str,
        except: Option<(u64, u64)>,
        user_id: Option<&'a str>,
        client: bool,
    },
    Count {
        app: &'a str,
        channel: &'a str,
        count: u32,
    },
    Here {
        app: &'a str,
        channel: &'a str,
        user_id: &'a str,
        info: Option<&'a str>,
    },
    Gone {
        app: &'a str,
        channel: &'a str,
        user_id: &'a str,
    },
    CacheMiss {
        app: &'a str,
        channel: &'a str,
    },
    User {
        app: &'a str,
        user_id: &'a str,
        online: bool,
    },
    Terminate {
        app: &'a str,
        user_id: &'a str,
    },
    Sent {
        hash: u64,
    },
    Cached {
        app: &'a str,
        channel: &'a str,
        age_ms: u64,
        frame: &'a [u8],
        data: u32,
    },
    Log {
        app: &'a str,
        channel: &'a str,
        floor: u64,
        #[serde(borrow)]
        events: Vec<(u64, u64, u32, &'a [u8])>,
    },
}

impl Op<'_> {
    /// Whether it is an event to be delivered, and no state.
    pub(super) const fn is_entry(&self) -> bool {
        matches!(self, Op::Entry { .. })
    }
}

/// Who made an entry, as it is told.
pub(super) const fn is_client(source: Source) -> bool {
    matches!(source, Source::Client)
}

/// A frame as bytes.
pub(super) fn encode(head: Head, frame: &Frame<'_>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(128);
    bytes.put_slice(&MARK);
    bytes.put_u8(if head.late { LATE } else { 0 });
    bytes.put_u64_le(head.from);
    bytes.put_u64_le(head.to);
    match postcard::to_extend(frame, Writer(bytes)) {
        Ok(Writer(bytes)) => bytes.freeze(),
        Err(_) => Bytes::new(), // writing into memory does not fail
    }
}

/// Lets postcard write behind a head.
struct Writer(BytesMut);

impl Extend<u8> for Writer {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

/// The same frame, marked as late.
pub(super) fn late(bytes: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&bytes[..]);
    if let Some(flags) = bytes.get_mut(MARK.len()) {
        *flags |= LATE;
    }
    bytes.freeze()
}

/// The head of a frame; `None` for what is none of this version.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (flags, rest) = rest.split_first()?;
    let (from, rest) = rest.split_first_chunk()?;
    let to = rest.first_chunk()?;
    Some(Head {
        from: u64::from_le_bytes(*from),
        to: u64::from_le_bytes(*to),
        late: flags & LATE != 0,
    })
}

/// What is behind the head.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    postcard::from_bytes(bytes.get(HEAD..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame() -> Frame<'static> {
        let op = Op::Count { app: "a", channel: "c", count: 7 };
        let cached = Op::Cached { app: "a", channel: "c", age_ms: 1, frame: b"\x81\x00", data: 2 };
        Frame::Ops { seq: 3, stamp: 8, ops: vec![op, cached] }
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let head_in = Head { from: 7, to: 0, late: false };
        let bytes = encode(head_in, &frame());
        assert_eq!(head(&bytes), Some(head_in));
        assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{:?}", frame()));
        let late = late(&bytes);
        assert_eq!(head(&late), Some(Head { late: true, ..head_in }));
        assert_eq!(late[HEAD..], bytes[HEAD..]);
    }

    #[test]
    fn other_versions_are_left_alone() {
        let mut bytes = encode(Head { from: 7, to: 0, late: false }, &frame()).to_vec();
        bytes[1] += 1;
        assert_eq!(head(&bytes), None);
    }

    proptest! {
        #[test]
        fn garbage_is_no_frame_and_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = head(&bytes);
            let _ = decode(&bytes);
        }

        #[test]
        fn a_damaged_frame_is_no_harm(at in 0..40usize, value: u8) {
            let mut bytes = encode(Head { from: 7, to: 0, late: false }, &frame()).to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes);
        }
    }
}
