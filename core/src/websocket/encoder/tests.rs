use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::io::Parse;

/// Writes a message through `write_frame`, in two puts, behind bytes that are there already.
fn written(
    mask: Option<[u8; 4]>,
    kind: MessageKind,
    payload: &[u8],
    room: usize,
) -> (Result<(), TxFull>, Vec<u8>) {
    let mut memory = vec![0; 3 + room];
    let mut tx = TxBuf::new(&mut memory);
    tx.put(b"old").unwrap();
    let (left, right) = payload.split_at(payload.len() / 3);
    let outcome = write_frame(&mut tx, mask, kind, |body| {
        body.put(left)?;
        body.put(right)
    });
    assert_eq!(&tx.written()[..3], b"old");
    (outcome, tx.written()[3..].to_vec())
}

fn encoded(mask: Option<[u8; 4]>, kind: MessageKind, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, mask, kind.opcode(), true, payload).unwrap();
    let frame = tx.written().to_vec();
    // The short way writes the same.
    tx.clear();
    let (left, right) = payload.split_at(payload.len() / 2);
    encode_joined(&mut tx, mask.map(Mask::new), kind.opcode(), true, left, right).unwrap();
    assert!(tx.written() == frame);
    frame
}

#[test]
fn a_frame_written_in_place_has_the_header_of_its_length() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
        for mask in [None, Some([9, 8, 7, 6])] {
            let (outcome, frame) = written(mask, MessageKind::Binary, &payload, len + 14);
            assert_eq!(outcome, Ok(()));
            assert!(frame == encoded(mask, MessageKind::Binary, &payload), "{len}");
        }
    }
}

#[test]
fn a_frame_that_does_not_fit_leaves_nothing_and_tells_the_room() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let payload = vec![1; len];
        for mask in [None, Some([1, 2, 3, 4])] {
            let whole = encoded(mask, MessageKind::Text, &payload).len();
            for room in [0, 1, 3, 5, len / 2, len, len + 1, whole - 1] {
                let (outcome, frame) =
                    written(mask, MessageKind::Text, &payload, room.min(whole - 1));
                let Err(TxFull { at_least }) = outcome else { panic!("{len} in {room}") };
                assert!(frame.is_empty());
                assert!(at_least > room.min(whole - 1) && at_least <= whole.max(len + 8));
            }
        }
    }
}

#[test]
fn what_the_writer_writes_goes_with_its_error() {
    let mut memory = [0; 64];
    let mut tx = TxBuf::new(&mut memory);
    let refused = write_frame(&mut tx, None, MessageKind::Text, |body| {
        body.put(b"half")?;
        Err(TxFull { at_least: 100 })
    });
    assert_eq!(refused, Err(TxFull { at_least: 108 }));
    assert!(tx.is_empty());
}

proptest! {
    #[test]
    fn a_frame_is_written_whole_or_not_at_all(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        mask: Option<[u8; 4]>,
        fin: bool,
        room in 0..320_usize,
    ) {
        let header = Header { fin, opcode: Opcode::Binary, mask, len: payload.len() as u64 };
        let total = header.encoded_len() + payload.len();
        let mut memory = vec![0; room];
        let mut tx = TxBuf::new(&mut memory);
        let outcome = encode_frame(&mut tx, mask, Opcode::Binary, fin, &payload);
        if total > room {
            prop_assert_eq!(outcome, Err(TxFull { at_least: total }));
            prop_assert!(tx.is_empty());
        } else {
            prop_assert_eq!(outcome, Ok(()));
            prop_assert_eq!(tx.len(), total);
            let consumed = header.encoded_len();
            prop_assert_eq!(Header::parse(tx.written()), Ok(Parse::Done { value: header, consumed }));
            let body = tx.written_mut(consumed);
            if let Some(key) = mask {
                Mask::new(key).apply(body);
            }
            prop_assert_eq!(&*body, &payload[..]);
        }
    }
}
