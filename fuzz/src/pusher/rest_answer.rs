//! The answer to a publish request.

use tidings_core::io::Parse;
use tidings_core::pusher::rest::RestReader;

/// Reads the input as an answer, whole and byte by byte, with and without an end behind it.
///
/// Invariant: a whole answer takes no more than there is and its body is no longer than that; what is not whole asks for
/// more and is left as it was; the first prefix that is whole gives the same as all of the input, if its end is told by a
/// length.
pub fn rest_answer(data: &[u8]) {
    let read = |input: &[u8], ended| {
        let mut memory = input.to_vec();
        let read = RestReader::new().read(&mut memory, ended).map(|read| match read {
            Parse::NeedMore { at_least } => {
                assert!(at_least > 0);
                None
            }
            Parse::Done { value, consumed } => {
                assert!(consumed <= input.len() && value.body.len() <= consumed);
                Some((value.status, value.retry_after_s, value.body.to_vec(), consumed))
            }
        });
        if read == Ok(None) {
            assert_eq!(memory, input);
        }
        read
    };
    assert_ne!(read(data, true), Ok(None));
    let whole = read(data, false);
    for end in 0..data.len().min(300) {
        match read(&data[..end], false) {
            Ok(None) => {}
            Ok(done) => return assert_eq!(Ok(done), whole),
            Err(_) => return assert!(whole.is_err(), "{whole:?} after a mistake at {end}"),
        }
    }
}
