//! The caller's buffers.

use tidings_core::io::{RxBuf, TxBuf};

const ROOM: usize = 16;

/// Reads the input as a list of operations, an octet each with an argument in its upper five bits, and performs them on a
/// [`TxBuf`], an [`RxBuf`] and a growing list of bytes that models them.
///
/// Invariant: the buffers hold what the model holds, and never more than their room.
pub fn buffers(data: &[u8]) {
    let (mut tx_memory, mut rx_memory) = ([0; ROOM], [0; ROOM]);
    let (mut tx, mut rx) = (TxBuf::new(&mut tx_memory), RxBuf::new(&mut rx_memory));
    let (mut sent, mut received) = (Vec::<u8>::new(), Vec::<u8>::new());
    for &op in data {
        let n = usize::from(op >> 3);
        let bytes = vec![op; n];
        match op & 7 {
            0 => {
                let fits = sent.len() + n <= ROOM;
                assert_eq!(tx.reserve(n).is_ok(), fits);
                assert_eq!(tx.put(&bytes).is_ok(), fits);
                if fits {
                    sent.extend(bytes);
                }
            }
            1 => {
                tx.consume(n);
                sent.drain(..n.min(sent.len()));
            }
            2 => {
                tx.truncate(n);
                sent.truncate(n);
            }
            3 => {
                for (at, byte) in tx.written_mut(n).iter_mut().enumerate() {
                    *byte = !*byte;
                    sent[n + at] = !sent[n + at];
                }
            }
            4 => sent.extend(fill(tx.spare_mut(), &bytes, ROOM - sent.len())),
            5 => received.extend(fill(rx.spare_mut(), &bytes, ROOM - received.len())),
            6 => {
                rx.consume(n);
                received.drain(..n.min(received.len()));
            }
            _ => {
                rx.clear();
                received.clear();
            }
        }
        // What was written to the free part counts once it is committed.
        match op & 7 {
            4 => tx.commit(n),
            5 => rx.commit(n),
            _ => {}
        }
        assert_eq!(tx.written(), sent);
        assert_eq!(tx.remaining(), ROOM - sent.len());
        assert_eq!(rx.filled_mut(), received);
    }
}

/// Writes as much of `bytes` as fits to the free part of a buffer, which is to be `room` long, and returns it.
fn fill<'a>(spare: &mut [u8], bytes: &'a [u8], room: usize) -> &'a [u8] {
    assert_eq!(spare.len(), room);
    let bytes = &bytes[..bytes.len().min(room)];
    spare[..bytes.len()].copy_from_slice(bytes);
    bytes
}
