//! What a device brings: someone who is told what happens, and someone who signs.

use tidings_core::auth::{SigningKey, sign_channel};
use tidings_core::io::TxBuf;
use tidings_core::pusher::SocketId;
use tidings_core::pusher::client::{ChannelEvent, ClientEvent};

use crate::End;

/// The longest answer of an [`Authorizer`]: key and signature.
pub(crate) const MAX_AUTH: usize = 160;
/// The longest `channel_data` of a presence channel.
pub(crate) const MAX_CHANNEL_DATA: usize = 256;

/// Is told what happens on the connection. The methods must return soon: nothing is read meanwhile.
pub trait Application {
    /// Something happened on a channel.
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>);

    /// Something happened on the connection: it stands, an error was reported, it has ended.
    fn connection_event(&mut self, event: ClientEvent<'_>) {
        let _ = event;
    }

    /// A connection, or an attempt at one, has ended. Another follows, unless the server said that it would be of no use.
    fn ended(&mut self, end: End) {
        let _ = end;
    }
}

/// The right to subscribe to a channel is refused; the other channels are not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

/// Gives the signature for a private or presence channel of one connection.
pub trait Authorizer {
    /// Writes `KEY:SIGNATURE` into `auth`, and for a presence channel the signed data into `channel_data`.
    ///
    /// # Errors
    /// [`Denied`] leaves the channel out until the next connection.
    async fn authorize(
        &mut self,
        socket_id: SocketId,
        channel: &str,
        auth: &mut TxBuf<'_>,
        channel_data: &mut TxBuf<'_>,
    ) -> Result<(), Denied>;
}

/// Signs with the app's own secret. Whoever reads the device's flash can then publish as the application: for devices in
/// the hands of others let an endpoint of the application sign.
#[derive(Debug, Clone)]
pub struct LocalSigner {
    key: &'static str,
    signing: SigningKey,
    member: &'static str,
}

impl LocalSigner {
    /// Signs for the app with this key and secret. `member` is what presence channels are told about the device, such as
    /// `{"user_id":"sensor-7"}`; it may be empty when there are none.
    #[must_use]
    pub fn new(key: &'static str, secret: &[u8], member: &'static str) -> Self {
        Self { key, signing: SigningKey::new(secret), member }
    }
}

impl Authorizer for LocalSigner {
    async fn authorize(
        &mut self,
        socket_id: SocketId,
        channel: &str,
        auth: &mut TxBuf<'_>,
        channel_data: &mut TxBuf<'_>,
    ) -> Result<(), Denied> {
        let member = channel.starts_with("presence-").then_some(self.member);
        let signature = sign_channel(&self.signing, &socket_id.as_text(), channel, member);
        let write = |out: &mut TxBuf<'_>, pieces: &[&str]| {
            pieces.iter().try_for_each(|piece| out.put(piece.as_bytes())).map_err(|_| Denied)
        };
        write(auth, &[self.key, ":", signature.as_str()])?;
        write(channel_data, &[member.unwrap_or_default()])
    }
}
