//! Event data of a chosen size that carries the moment it was due and its number.

use memchr::memmem;

/// The least size of event data, in bytes.
pub(crate) const MIN_SIZE: usize = 48;
/// The largest, which every server's limit on messages must allow.
pub(crate) const MAX_SIZE: usize = 64 * 1024;

const TAG: &[u8] = b"tb:";
/// Tag, 16 digits of the moment, a colon, 8 digits of the number.
const MARK_LEN: usize = 3 + 16 + 1 + 8;
const DUE: usize = 3;
const SEQ: usize = 20;

/// JSON text of exactly `size` bytes with a blank mark: ordinary quoted fields, so that a server has
/// real escaping to carry, then padding.
pub(crate) fn data(size: usize) -> String {
    const FIELD: &str = ",\"name\":\"some text\"";
    const TAIL: usize = ",\"p\":\"\"}".len();
    let mut out = format!("{{\"t\":\"tb:{:016x}:{:08x}\"", 0, 0);
    while out.len() + FIELD.len() + TAIL <= size {
        out.push_str(FIELD);
    }
    let pad = size.saturating_sub(out.len() + TAIL);
    out.push_str(",\"p\":\"");
    out.extend(std::iter::repeat_n('x', pad));
    out.push_str("\"}");
    out
}

/// A message whose mark is filled in for each sending; the rest is made once.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    text: Vec<u8>,
    mark: usize,
}

impl Template {
    /// The body of a publish to one channel; the data is a JSON string, as Pusher's libraries send it.
    pub(crate) fn publish(channel: &str, size: usize) -> Self {
        let data = serde_json::Value::from(data(size));
        Self::new(format!("{{\"name\":\"bench-event\",\"channel\":\"{channel}\",\"data\":{data}}}"))
    }

    /// The text of a client event; the data is an object, as pusher-js sends it.
    pub(crate) fn client_event(channel: &str, size: usize) -> Self {
        let data = data(size);
        Self::new(format!(
            "{{\"event\":\"client-bench\",\"channel\":\"{channel}\",\"data\":{data}}}"
        ))
    }

    fn new(text: String) -> Self {
        let text = text.into_bytes();
        let mark = memmem::find(&text, TAG).expect("every template has a mark");
        Self { text, mark }
    }

    /// The message with this moment and number; the same memory each time.
    pub(crate) fn fill(&mut self, due: u64, seq: u32) -> &[u8] {
        let mark = &mut self.text[self.mark..self.mark + MARK_LEN];
        put_hex(&mut mark[DUE..DUE + 16], due);
        put_hex(&mut mark[SEQ..], u64::from(seq));
        &self.text
    }
}

/// Finds the mark in a received message: when it was due, and its number. `hint` is where the mark was last time.
#[inline]
pub(crate) fn find_mark(message: &[u8], hint: &mut usize) -> Option<(u64, u32)> {
    if !message.get(*hint..).is_some_and(|rest| rest.starts_with(TAG)) {
        *hint = memmem::find(message, TAG)?;
    }
    let mark = message.get(*hint..*hint + MARK_LEN)?;
    let seq = u32::try_from(unhex(&mark[SEQ..])?).ok()?;
    Some((unhex(&mark[DUE..DUE + 16])?, seq))
}

fn put_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[inline]
fn unhex(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_exact_and_the_text_is_json() {
        for size in [MIN_SIZE, 64, 127, 128, 1024, 10_000, MAX_SIZE] {
            let text = data(size);
            assert_eq!(text.len(), size);
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }

    #[test]
    fn the_mark_survives_json_escaping_and_a_wrong_hint() {
        for mut template in [Template::publish("c", 128), Template::client_event("c", 128)] {
            let message = template.fill(0xdead_beef_0123, 77);
            serde_json::from_slice::<serde_json::Value>(message).unwrap();
            let mut hint = 5;
            assert_eq!(find_mark(message, &mut hint), Some((0xdead_beef_0123, 77)));
            let found = hint;
            assert_eq!(find_mark(message, &mut hint), Some((0xdead_beef_0123, 77)));
            assert_eq!(hint, found);
        }
    }

    #[test]
    fn the_extremes_of_moment_and_number_come_back() {
        let mut template = Template::publish("c", 128);
        for (due, seq) in [(0, 0), (u64::MAX, u32::MAX), (1, 0x8000_0000)] {
            assert_eq!(find_mark(template.fill(due, seq), &mut 0), Some((due, seq)));
        }
    }

    #[test]
    fn other_messages_have_no_mark() {
        assert_eq!(find_mark(b"{\"event\":\"pusher:ping\"}", &mut 5), None);
        assert_eq!(find_mark(b"tb:12", &mut 0), None);
        assert_eq!(find_mark(b"tb:00000000000000zz:00000001", &mut 0), None);
    }
}
