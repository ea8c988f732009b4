use std::vec::Vec;

use embassy_futures::block_on;

use super::*;

impl ErrorType for Silent {
    type Error = ErrorKind;
}

/// Takes everything.
struct Silent;

impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

fn record(kind: u8, length: u16) -> Vec<u8> {
    let mut record = std::vec![kind, 3, 3];
    record.extend_from_slice(&length.to_be_bytes());
    record.resize(5 + usize::from(length), kind);
    record
}

/// What passes of these bytes, `piece` at a time, and why no more.
fn pass(bytes: &[u8], secured: bool, piece: usize) -> (Vec<u8>, Option<Failure>) {
    let wire = Wire::new(bytes, Silent);
    wire.limit(100);
    if secured {
        wire.secured();
    }
    let (mut passed, mut out) = (Vec::new(), std::vec![0; piece]);
    while let Ok(count @ 1..) = block_on(Hold(&wire).read(&mut out)) {
        passed.extend_from_slice(&out[..count]);
    }
    (passed, wire.failure())
}

#[test]
fn good_records_pass_unchanged_in_pieces_of_any_size() {
    let bytes =
        [record(22, 90), record(20, 1), record(23, 17), record(23, 100), record(21, 2)].concat();
    for piece in [1, 2, 3, 5, 6, 64, 1000] {
        assert_eq!(pass(&bytes, false, piece), (bytes.clone(), None), "{piece}");
    }
}

#[test]
fn after_the_handshake_nothing_passes_in_the_open() {
    for kind in [20, 21, 22] {
        let good = record(23, 40);
        let bytes = [good.clone(), record(kind, 2)].concat();
        assert_eq!(pass(&bytes, true, 64), (good, Some(Failure::Protocol)), "{kind}");
    }
}

#[test]
fn records_that_are_too_short_or_too_long_or_none_do_not_pass() {
    for secured in [false, true] {
        for length in [0, 1, 16] {
            assert_eq!(pass(&record(23, length), secured, 64).1, Some(Failure::Protocol));
        }
        let long = pass(&record(23, 101), secured, 64);
        assert_eq!(long, (Vec::new(), Some(Failure::RecordTooLong(101))));
        assert_eq!(pass(b"HTTP/1.1 400", secured, 64).1, Some(Failure::NotTls));
        let later = [record(23, 20), record(0, 20)].concat();
        assert_eq!(pass(&later, secured, 64).1, Some(Failure::Protocol));
    }
}

#[test]
fn an_end_between_records_or_within_one_is_the_end() {
    let whole = record(23, 40);
    assert_eq!(pass(&whole[..20], true, 64), (whole[..20].to_vec(), None));
    assert_eq!(pass(&[&*whole, &[23, 3]].concat(), true, 64), (whole, None));
}
