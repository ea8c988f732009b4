//! Who comes in: how fast, how many at once, and from where.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidings_core::websocket::handshake::RequestHead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::forwarded;
use crate::app::Rate;
use crate::config::{Network, ServerConfig};
use crate::server::now_ms;

/// What all listeners of a server share.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Whether a connection begins with who it is for, by the PROXY protocol.
    pub(crate) proxied: bool,
    trusted: Box<[Network]>,
    /// Connections that may be on their way in at once.
    pending: Arc<Semaphore>,
    accepts: Option<(u32, Rate)>,
    guests: Option<Arc<Guests>>,
}

/// Connections by address.
#[derive(Debug)]
struct Guests {
    limit: u32,
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// The place of one connection among those of its address; it is given back with this.
#[derive(Debug)]
pub(crate) struct Slot {
    guests: Arc<Guests>,
    of: IpAddr,
}

/// An address has as many connections as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowded {
    pub(crate) limit: u32,
}

impl Gate {
    pub(crate) fn new(config: &ServerConfig) -> Arc<Self> {
        let limit = config.max_connections_per_address;
        let pending = usize::try_from(config.max_pending_handshakes).unwrap_or(usize::MAX);
        Arc::new(Self {
            proxied: config.proxy_protocol,
            trusted: config.trusted_proxies.clone().into(),
            pending: Arc::new(Semaphore::new(pending.clamp(1, Semaphore::MAX_PERMITS))),
            accepts: config.max_accepts_per_second.map(|limit| (limit.max(1), Rate::default())),
            guests: limit.map(|limit| Arc::new(Guests { limit, counts: Mutex::default() })),
        })
    }

    /// Waits until the connection that has been accepted may be looked at. Others wait meanwhile with the system.
    pub(super) async fn pass(&self) -> Option<OwnedSemaphorePermit> {
        if let Some((limit, rate)) = &self.accepts {
            loop {
                let now = now_ms();
                if !rate.take(1, *limit, now).exceeded {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1000 - now % 1000)).await;
            }
        }
        self.pending.clone().acquire_owned().await.ok() // it is never closed
    }

    /// The address of the client, where it is known: `from` is who connected.
    pub(crate) fn client(&self, from: Option<IpAddr>, head: &RequestHead<'_>) -> Option<IpAddr> {
        from.map(|from| forwarded::client(head, from.to_canonical(), &self.trusted))
    }

    /// Counts one more connection of a client, if that is wanted and its address is known.
    pub(crate) fn enter(&self, client: Option<IpAddr>) -> Result<Option<Box<Slot>>, Crowded> {
        match (&self.guests, client) {
            (Some(guests), Some(client)) => guests.enter(client).map(Some),
            _ => Ok(None),
        }
    }
}

impl Guests {
    fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Box<Slot>, Crowded> {
        let of = counted_as(client);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(of).or_default();
        if *count >= self.limit {
            if *count == 0 {
                counts.remove(&of);
            }
            return Err(Crowded { limit: self.limit });
        }
        *count += 1;
        Ok(Box::new(Slot { guests: Arc::clone(self), of }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.guests.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(self.of) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// One customer of IPv6 has a network with more addresses than anybody can count.
fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let config =
            ServerConfig { max_connections_per_address: Some(2), ..ServerConfig::default() };
        let gate = Gate::new(&config);
        let enter = |address: &str| gate.enter(Some(address.parse().unwrap()));
        let _first = enter("192.0.2.1").unwrap();
        let second = enter("::ffff:192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), Crowded { limit: 2 });
        let _other = enter("192.0.2.2").unwrap();
        drop(second);
        let _third = enter("192.0.2.1").unwrap();
        // Of IPv6 the network counts.
        let places = [enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap()];
        assert!(enter("2001:db8::3").is_err() && enter("2001:db8:0:1::3").is_ok());
        drop(places);
        assert_eq!(gate.guests.as_ref().unwrap().counts.lock().unwrap().len(), 2);
    }

    #[test]
    fn who_has_no_address_is_not_counted() {
        let config =
            ServerConfig { max_connections_per_address: Some(0), ..ServerConfig::default() };
        let gate = Gate::new(&config);
        assert!(gate.enter(None).unwrap().is_none());
        assert!(gate.enter(Some("192.0.2.1".parse().unwrap())).is_err());
        assert!(gate.guests.as_ref().unwrap().counts.lock().unwrap().is_empty());
    }
}
