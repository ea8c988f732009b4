//! What the application asks for: channels, authorisations, events.

use super::machine::{Client, SignIn};
use super::table::{ChannelId, Slot, Subscription, Table};
#[cfg(feature = "encrypted")]
use crate::auth::SharedSecret;
use crate::channel::{ChannelName, DEFAULT_MAX_LEN};
use crate::entropy::Entropy;
use crate::error::{CapacityError, SendError, UsageError};
use crate::io::TxBuf;
use crate::pusher::{SocketId, TriggerData, encode_signin, encode_trigger, encode_unsubscribe};

impl<R: Entropy, T: Table> Client<R, T> {
    /// Adds a channel. It is subscribed to as soon as there is a connection, by the next steps, and again after every
    /// reconnect, until [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    /// [`UsageError::ChannelName`], [`UsageError::AlreadySubscribed`] or [`CapacityError::Channels`]. Nothing changed
    /// then.
    pub fn subscribe(&mut self, name: T::Name) -> Result<ChannelId, SendError> {
        let channel = ChannelName::parse(name.as_ref(), DEFAULT_MAX_LEN);
        let kind = channel.map_err(|_| UsageError::ChannelName)?.kind();
        if self.table.find(name.as_ref()).is_some() {
            return Err(UsageError::AlreadySubscribed.into());
        }
        let free = self.table.slots().iter().position(|slot| slot.name.is_none());
        let place = match free {
            Some(place) => place,
            None if self.table.grow() => self.table.slots().len().saturating_sub(1),
            None => return Err(CapacityError::Channels.into()),
        };
        let Ok(index) = u16::try_from(place) else { return Err(CapacityError::Channels.into()) };
        let Some(slot) = self.table.slots_mut().get_mut(place) else {
            return Err(CapacityError::Channels.into());
        };
        slot.generation = slot.generation.wrapping_add(1);
        let generation = slot.generation;
        slot.name = Some(name);
        slot.kind = kind;
        #[cfg(feature = "resume")]
        {
            slot.position = None;
        }
        slot.restart();
        self.table.changed(place);
        self.cursor = self.cursor.min(index);
        Ok(ChannelId { index, generation })
    }

    /// Gives a channel up. Its events stop at once.
    ///
    /// # Errors
    /// [`UsageError::ChannelUnknown`], or [`TxFull`](crate::error::TxFull): nothing changed then, and the channel is still there.
    pub fn unsubscribe(&mut self, channel: ChannelId, tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        let online = self.is_online();
        let mask = self.mask();
        let slot = self.slot_mut(channel)?;
        let asked = matches!(slot.subscription, Subscription::Requested | Subscription::Subscribed);
        if let Some(name) = &slot.name
            && online
            && asked
        {
            encode_unsubscribe(tx, mask, name.as_ref())?;
        }
        slot.name = None;
        slot.restart();
        self.table.changed(channel.index());
        Ok(())
    }

    /// Answers [`ClientEvent::Authorize`](super::ClientEvent::Authorize): writes the subscription with its signature.
    ///
    /// `auth` is `KEY:SIGNATURE`, and `channel_data` the signed text of a presence channel, both as the one who
    /// authorises gave them.
    ///
    /// # Errors
    /// [`UsageError::AuthorizationStale`] when the answer belongs to another connection than the present one or was not
    /// asked for: throw it away, the question comes again. [`UsageError::ChannelUnknown`], or [`TxFull`](crate::error::TxFull): flush and
    /// call again.
    #[cfg_attr(not(feature = "small"), inline(never))]
    pub fn authorize(
        &mut self,
        channel: ChannelId,
        socket_id: SocketId,
        auth: &str,
        channel_data: Option<&str>,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        let mask = self.mask();
        let slot = self.asked(channel, socket_id)?;
        slot.encode_subscribe(tx, mask, Some(auth), channel_data)?;
        slot.subscription = Subscription::Requested;
        Ok(())
    }

    /// As [`authorize`](Self::authorize) for an encrypted channel, whose payloads are then decrypted where they stand.
    /// Without the secret they would come as they are.
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize).
    #[cfg(feature = "encrypted")]
    pub fn authorize_encrypted(
        &mut self,
        channel: ChannelId,
        socket_id: SocketId,
        auth: &str,
        secret: SharedSecret,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.authorize(channel, socket_id, auth, None, tx)?;
        Ok(self.set_secret(channel, secret)?)
    }

    /// Replaces the secret of an encrypted channel, after [`ChannelEvent::Undecryptable`] has shown that it has changed.
    ///
    /// [`ChannelEvent::Undecryptable`]: super::ChannelEvent::Undecryptable
    ///
    /// # Errors
    /// [`UsageError::ChannelUnknown`].
    #[cfg(feature = "encrypted")]
    pub fn set_secret(
        &mut self,
        channel: ChannelId,
        secret: SharedSecret,
    ) -> Result<(), UsageError> {
        self.slot_mut(channel)?.secret = Some(secret);
        Ok(())
    }

    /// Answers [`ClientEvent::Authorize`](super::ClientEvent::Authorize) with no. The channel stays in the table and is asked for again on the next
    /// connection, or after [`retry`](Self::retry).
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize).
    pub fn refuse(&mut self, channel: ChannelId, socket_id: SocketId) -> Result<(), UsageError> {
        self.asked(channel, socket_id)?.subscription = Subscription::Rejected;
        Ok(())
    }

    fn asked(
        &mut self,
        channel: ChannelId,
        socket_id: SocketId,
    ) -> Result<&mut Slot<T::Name>, UsageError> {
        let current = self.socket_id() == Some(socket_id);
        let slot = self.slot_mut(channel)?;
        if !current || slot.subscription != Subscription::Authorizing {
            return Err(UsageError::AuthorizationStale);
        }
        Ok(slot)
    }

    /// Asks for a channel again that was refused on this connection.
    ///
    /// # Errors
    /// [`UsageError::ChannelUnknown`].
    pub fn retry(&mut self, channel: ChannelId) -> Result<(), UsageError> {
        let slot = self.slot_mut(channel)?;
        if slot.subscription == Subscription::Rejected {
            slot.subscription = Subscription::Waiting;
            self.cursor = self.cursor.min(channel.index);
        }
        Ok(())
    }

    /// Wants the user to be signed in, on this connection and on every later one.
    pub const fn sign_in(&mut self) {
        if matches!(self.sign_in, SignIn::Unwanted) {
            self.sign_in = SignIn::Waiting;
        }
    }

    /// Answers [`ClientEvent::AuthorizeUser`](super::ClientEvent::AuthorizeUser): writes the sign-in with its signature.
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize).
    pub fn authorize_user(
        &mut self,
        socket_id: SocketId,
        auth: &str,
        user_data: &str,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        if self.socket_id() != Some(socket_id) || self.sign_in != SignIn::Authorizing {
            return Err(UsageError::AuthorizationStale.into());
        }
        let mask = self.mask();
        encode_signin(tx, mask, auth, user_data)?;
        self.sign_in = SignIn::Requested;
        Ok(())
    }

    /// Sends an event to the other subscribers of a private or presence channel.
    ///
    /// # Errors
    /// [`UsageError::NotSubscribed`] until the subscription is in force, [`UsageError::NotTriggerable`] on other kinds of
    /// channel, [`UsageError::EventName`] without the prefix `client-`, [`UsageError::ChannelUnknown`], or [`TxFull`](crate::error::TxFull).
    pub fn trigger(
        &mut self,
        channel: ChannelId,
        event: &str,
        data: Option<TriggerData<'_>>,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        let mask = self.mask();
        let name = self.triggerable(channel, event)?;
        Ok(encode_trigger(tx, mask, name, event, data)?)
    }

    /// As [`trigger`](Self::trigger) with a value that is written as JSON, straight into the output buffer.
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger). Of a frame that does not fit the length is not known;
    /// [`TxFull`](crate::error::TxFull) then asks for one byte more than there is.
    ///
    /// # Panics
    /// None here, but serde-json-core panics on *types* that JSON has no form for: integers of 128 bits, maps whose keys are
    /// no texts, and an implementation of `Serialize` that fails by itself.
    #[cfg(feature = "serde")]
    pub fn trigger_value(
        &mut self,
        channel: ChannelId,
        event: &str,
        value: &impl serde::Serialize,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        let mask = self.mask();
        let name = self.triggerable(channel, event)?;
        Ok(crate::pusher::payload::encode_trigger_value(tx, mask, name, event, value)?)
    }

    /// The name of a channel that an event can be triggered on now.
    pub(super) fn triggerable(&self, channel: ChannelId, event: &str) -> Result<&str, UsageError> {
        let slot = self.slot(channel).ok_or(UsageError::ChannelUnknown)?;
        if !slot.kind.takes_client_events() {
            return Err(UsageError::NotTriggerable);
        }
        if !event.starts_with("client-") {
            return Err(UsageError::EventName);
        }
        if !self.is_online() || slot.subscription != Subscription::Subscribed {
            return Err(UsageError::NotSubscribed);
        }
        slot.name.as_ref().map(AsRef::as_ref).ok_or(UsageError::ChannelUnknown)
    }
}
