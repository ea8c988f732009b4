//! The channels that a client wants to be subscribed to.

#[cfg(feature = "encrypted")]
use crate::auth::SharedSecret;
use crate::channel::ChannelKind;
use crate::error::TxFull;
use crate::io::TxBuf;
#[cfg(feature = "resume")]
use crate::pusher::Serial;
use crate::pusher::encode_subscribe;

/// A channel of one client. It stays the same over reconnects, until the channel is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId {
    pub(super) index: u16,
    /// Tells the channel from an earlier one in the same slot.
    pub(super) generation: u16,
}

impl ChannelId {
    /// The slot's place in the table, for side tables of the adapter.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// How far a subscription has come on the present connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// It waits for its turn, for a connection, or for the sign-in.
    Waiting,
    /// Its signature was asked for.
    Authorizing,
    /// The server was asked.
    Requested,
    /// It is in force.
    Subscribed,
    /// It was refused: on this connection it is not tried again by itself.
    Rejected,
}

/// Where a subscription goes on after an interruption.
#[cfg(feature = "resume")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// After this event.
    After(Serial),
    /// With what is published from now on.
    Latest,
}

/// A place for one channel.
#[derive(Debug, Clone)]
pub struct Slot<N> {
    pub(super) name: Option<N>,
    pub(super) generation: u16,
    pub(super) kind: ChannelKind,
    pub(super) subscription: Subscription,
    #[cfg(feature = "encrypted")]
    pub(super) secret: Option<SharedSecret>,
    /// `None` when what was missed is not asked for.
    #[cfg(feature = "resume")]
    pub(super) position: Option<Position>,
}

impl<N> Slot<N> {
    /// A free place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            name: None,
            generation: 0,
            kind: ChannelKind::Public,
            subscription: Subscription::Waiting,
            #[cfg(feature = "encrypted")]
            secret: None,
            #[cfg(feature = "resume")]
            position: None,
        }
    }
}

impl<N> Slot<N> {
    /// Forgets what belonged to a connection.
    pub(super) fn restart(&mut self) {
        self.subscription = Subscription::Waiting;
        #[cfg(feature = "encrypted")]
        {
            self.secret = None;
        }
    }

    /// The name of the channel that has this place.
    #[must_use]
    pub const fn name(&self) -> Option<&N> {
        self.name.as_ref()
    }
}

impl<N: AsRef<str>> Slot<N> {
    /// Writes the subscription.
    pub(super) fn encode_subscribe(
        &self,
        tx: &mut TxBuf<'_>,
        mask: [u8; 4],
        auth: Option<&str>,
        channel_data: Option<&str>,
    ) -> Result<(), TxFull> {
        let Some(name) = &self.name else { return Ok(()) };
        #[cfg(feature = "resume")]
        let text; // outlives the borrow
        #[cfg(feature = "resume")]
        let from = match self.position {
            Some(Position::After(serial)) => {
                text = serial.as_text();
                Some(&*text)
            }
            Some(Position::Latest) => Some("latest"),
            None => None,
        };
        #[cfg(not(feature = "resume"))]
        let from = None;
        encode_subscribe(tx, mask, name.as_ref(), auth, channel_data, from)
    }
}

impl<N> Default for Slot<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a client keeps its channels.
///
/// A device has a [`heapless::Vec`], whose size is part of its type. Where there is a heap an adapter brings a table
/// that grows, and may find names by a map of its own.
pub trait Table {
    /// A channel's name, such as `&'static str`.
    type Name: AsRef<str>;

    /// The places.
    fn slots(&self) -> &[Slot<Self::Name>];

    /// The places.
    fn slots_mut(&mut self) -> &mut [Slot<Self::Name>];

    /// Adds a free place at the end; false when there is no room for one.
    fn grow(&mut self) -> bool;

    /// The place of the channel with this name.
    fn find(&self, name: &str) -> Option<usize> {
        self.slots().iter().position(|slot| slot.name.as_ref().is_some_and(|n| n.as_ref() == name))
    }

    /// Called when a place was taken for a channel, or freed; for tables that index by name.
    fn changed(&mut self, _place: usize) {}
}

impl<N: AsRef<str>, const CHANNELS: usize> Table for heapless::Vec<Slot<N>, CHANNELS> {
    type Name = N;

    fn slots(&self) -> &[Slot<N>] {
        self
    }

    fn slots_mut(&mut self) -> &mut [Slot<N>] {
        self
    }

    fn grow(&mut self) -> bool {
        self.push(Slot::new()).is_ok()
    }
}
