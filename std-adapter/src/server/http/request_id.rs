//! The name of a request, in its answer and in the log.

use std::cell::Cell;
use std::fmt;

/// The header that carries it.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The longest id that is taken from a request.
const MAX_LEN: usize = 64;

/// The id of a request: the one that it came with, if it is short and plain, else one that no other request has.
#[derive(Clone, Copy)]
pub(crate) struct RequestId {
    text: [u8; MAX_LEN],
    len: u8,
}

impl RequestId {
    /// Takes the value of the header, if it is of use.
    pub(crate) fn new(given: Option<&[u8]>) -> Self {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        let useful = |text: &&[u8]| (1..=MAX_LEN).contains(&text.len()) && text.iter().all(plain);
        given.filter(useful).map_or_else(Self::made, |text| {
            let mut id = Self { text: [0; MAX_LEN], len: text.len() as u8 };
            id.text[..text.len()].copy_from_slice(text);
            id
        })
    }

    /// A new id: a number that this thread has by chance, and how many it has made.
    fn made() -> Self {
        thread_local! {
            static THREAD: u64 = getrandom::u64().unwrap_or_else(|_| crate::server::now_ms());
            static COUNT: Cell<u32> = const { Cell::new(0) };
        }
        let count = COUNT.get().wrapping_add(1);
        COUNT.set(count);
        let mut id = Self { text: [0; MAX_LEN], len: 24 };
        let digits = THREAD.with(|thread| (u128::from(*thread) << 32) | u128::from(count));
        for (at, place) in id.text.iter_mut().take(24).enumerate() {
            let digit = (digits >> (92 - 4 * at)) as usize & 15;
            *place = b"0123456789abcdef"[digit];
        }
        id
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_short_and_plain_id_is_kept_and_others_are_replaced() {
        let longest = "x".repeat(MAX_LEN);
        for good in ["a", "0af7651916cd43dd-8448:eb_21.1c", &longest] {
            assert_eq!(RequestId::new(Some(good.as_bytes())).to_string(), good);
        }
        let long = "x".repeat(MAX_LEN + 1);
        for bad in ["", "a b", "a\"b", "a\nb", "é", &long] {
            let id = RequestId::new(Some(bad.as_bytes())).to_string();
            assert_eq!(id.len(), 24, "{bad}");
        }
    }

    #[test]
    fn ids_that_are_made_are_all_different_also_on_other_threads() {
        let ids = || (0..1_000).map(|_| RequestId::new(None).to_string()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(all.iter().all(|id| id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4_000);
    }
}
