//! Going on where the last connection ended, on servers that keep events.

use super::machine::Client;
use super::table::{ChannelId, Position, Slot, Table};
use crate::entropy::Entropy;
use crate::error::UsageError;
use crate::pusher::{Serial, ServerMessage};

impl<R: Entropy, T: Table> Client<R, T> {
    /// From its next subscription on, and after every reconnect, the channel asks for the events that were missed since
    /// `from`. The answer is [`ChannelEvent::Resumed`](super::ChannelEvent::Resumed), and then those events. Where none are
    /// kept for this channel it is a gap; another server than tidings does not answer, and the subscription is like any other.
    ///
    /// [`Position::Latest`] to begin with; [`Position::After`] what [`position`](Self::position) told before a restart.
    ///
    /// # Errors
    /// [`UsageError::ChannelUnknown`].
    pub fn resume(&mut self, channel: ChannelId, from: Position) -> Result<(), UsageError> {
        self.slot_mut(channel)?.position = Some(from);
        Ok(())
    }

    /// How far the events of a channel have come that [resumes](Self::resume). An event counts from the step on that
    /// returned it: whoever stores this after acting on an event may see one again, and misses none.
    pub fn position(&self, channel: ChannelId) -> Option<Position> {
        self.slot(channel)?.position
    }
}

impl<N> Slot<N> {
    /// Notes how far the events have come.
    pub(super) fn see(&mut self, serial: Option<Serial>) {
        if let (Some(position), Some(serial)) = (&mut self.position, serial) {
            *position = Position::After(serial);
        }
    }
}

/// The serial that a message brings its channel to.
pub(super) const fn seen(message: &ServerMessage<'_>) -> Option<Serial> {
    // Events that follow an answer bring serials of their own. With that of the answer those would be lost which a
    // connection that breaks holds back.
    if let ServerMessage::Event { serial, .. }
    | ServerMessage::Sealed { serial, .. }
    | ServerMessage::Resumed { events: 0, serial, .. } = message
    {
        return *serial;
    }
    None
}
