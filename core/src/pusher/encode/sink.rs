//! A frame whose length is known before its first byte is written.

use core::fmt;

use crate::error::TxFull;
use crate::io::TxBuf;
use crate::json::{Raw, compact, decimal, escape, escape_twice, escaped_len};
use crate::websocket::{Mask, Opcode, begin_frame, mask_from};

/// Takes the pieces of a message: first to count them, then to write them.
pub(super) struct Sink<'t, 'b> {
    tx: Option<&'t mut TxBuf<'b>>,
    len: usize,
}

/// Appends one text frame. `body` is called twice and must do the same each time.
///
/// # Errors
/// [`TxFull`] with the exact length of the frame when it does not fit; nothing is written then.
pub(super) fn text_frame(
    tx: &mut TxBuf<'_>,
    mask: Option<[u8; 4]>,
    body: &dyn Fn(&mut Sink<'_, '_>),
) -> Result<(), TxFull> {
    let mut count = Sink { tx: None, len: 0 };
    body(&mut count);
    let len = count.len;

    let start = tx.len();
    let mask = mask.map(Mask::new);
    let payload = begin_frame(tx, mask, Opcode::Text, true, len)?;
    let mut sink = Sink { tx: Some(tx), len: 0 };
    body(&mut sink);
    if sink.len != len {
        // An iterator of the caller's gave something else the second time.
        debug_assert!(false, "the message changed while it was written");
        tx.truncate(start);
        return Err(TxFull { at_least: len });
    }
    mask_from(tx, mask, payload);
    Ok(())
}

impl Sink<'_, '_> {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len());
        if let Some(tx) = &mut self.tx
            && tx.put(bytes).is_err()
        {
            // Room was checked: the message grew since it was counted.
            self.len = usize::MAX;
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.put(decimal(number, &mut [0; 20]));
    }

    /// The inside of a string literal.
    pub(super) fn escaped(&mut self, text: &str) {
        if self.tx.is_none() && !cfg!(feature = "small") {
            self.len = self.len.saturating_add(escaped_len(text));
        } else {
            escape(text.as_bytes(), &mut |piece| self.put(piece));
        }
    }

    /// The inside of a string literal within JSON text within a string literal.
    pub(super) fn escaped_twice(&mut self, text: &str) {
        escape_twice(text, &mut |piece| self.put(piece));
    }

    /// A value without white space.
    pub(super) fn compact(&mut self, value: Raw<'_>) {
        compact(value, &mut |piece| self.put(piece));
    }

    /// A value without white space as the inside of a string literal.
    pub(super) fn compact_escaped(&mut self, value: Raw<'_>) {
        compact(value, &mut |piece| escape(piece, &mut |piece| self.put(piece)));
    }

    /// A text made by formatting, as the inside of a string literal.
    pub(super) fn display(&mut self, text: &dyn fmt::Display) {
        // Neither this sink nor the texts of this crate can fail.
        let _ = fmt::write(self, format_args!("{text}"));
    }

    /// `{"event":"NAME"` for a name that needs no escape.
    pub(super) fn open(&mut self, event: &str) {
        self.text(r#"{"event":""#);
        self.text(event);
        self.text("\"");
    }

    /// `,"channel":"NAME"`
    pub(super) fn channel(&mut self, channel: &str) {
        self.member("channel", channel);
    }

    /// `,"NAME":"TEXT"` for a name that needs no escape.
    pub(super) fn member(&mut self, name: &str, text: &str) {
        self.text(",\"");
        self.text(name);
        self.text("\":\"");
        self.escaped(text);
        self.text("\"");
    }
}

impl fmt::Write for Sink<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.escaped(text);
        Ok(())
    }
}
