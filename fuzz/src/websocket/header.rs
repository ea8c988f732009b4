//! One frame header.

use tidings_core::io::{Parse, TxBuf};
use tidings_core::websocket::Header;

/// Reads the input as a frame header, and each shorter part of it.
///
/// Invariant: a header that is read is written the same; a shorter input needs more, never more than there is to come;
/// an error stays the same whatever follows.
pub fn frame_header(data: &[u8]) {
    let whole = Header::parse(data);
    let mut end = data.len();
    if let Ok(Parse::Done { value, consumed }) = whole {
        assert!(consumed <= Header::MAX_LEN);
        let mut memory = [0; Header::MAX_LEN];
        let mut tx = TxBuf::new(&mut memory);
        value.encode(&mut tx).expect("room for the longest header");
        assert_eq!(tx.written(), &data[..consumed]);
        assert_eq!(value.encoded_len(), consumed);
        end = consumed;
    }
    for len in 0..end.min(Header::MAX_LEN) {
        match Header::parse(&data[..len]) {
            Ok(Parse::NeedMore { at_least }) => {
                assert!(at_least >= 1);
                assert!(whole.is_err() || len + at_least <= end || end == data.len());
            }
            Ok(Parse::Done { .. }) => panic!("{len} bytes are a header, and so are {end}"),
            Err(error) => assert_eq!(whole, Err(error)),
        }
    }
}
