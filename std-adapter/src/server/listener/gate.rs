//! Who comes in: how fast, how many at once, and from where.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidings_core::websocket::handshake::RequestHead;
use tokio::sync::Notify;

use super::forwarded;
use crate::app::Rate;
use crate::config::{CurrentConfig, Network};
use crate::server::now_ms;

/// What all listeners of a server share. Its bounds are those of the configuration at the time.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pending: Arc<Pending>,
    accepts: Rate,
    guests: Arc<Guests>,
}

/// Connections that are on their way in.
#[derive(Debug, Default)]
struct Pending {
    count: AtomicUsize,
    /// One of them has got in, or is gone.
    freed: Notify,
}

/// The place of one connection among those on their way in; it is given back with this.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Pending>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_waiters();
    }
}

/// Connections by address.
#[derive(Debug, Default)]
struct Guests(Mutex<HashMap<IpAddr, u32>>);

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
    /// Waits until the connection that has been accepted may be looked at. Others wait meanwhile with the system.
    pub(super) async fn pass(&self, config: &CurrentConfig) -> Pass {
        loop {
            let now = now_ms();
            let limit = config.now().max_accepts_per_second;
            if limit.is_none_or(|limit| !self.accepts.take(1, limit.max(1), now).exceeded) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1000 - now % 1000)).await;
        }
        let mut changes = config.changes();
        loop {
            let mut freed = pin!(self.pending.freed.notified());
            freed.as_mut().enable();
            let limit = config.now().max_pending_handshakes.max(1) as usize;
            let count = &self.pending.count;
            // Only the one thread that accepts counts up.
            if count.load(Ordering::Acquire) < limit {
                count.fetch_add(1, Ordering::AcqRel);
                return Pass(Arc::clone(&self.pending));
            }
            tokio::select! {
                () = freed => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Counts one more connection of a client, if that is wanted and its address is known.
    pub(crate) fn enter(
        &self,
        client: Option<IpAddr>,
        limit: Option<u32>,
    ) -> Result<Option<Box<Slot>>, Crowded> {
        match (limit, client) {
            (Some(limit), Some(client)) => self.guests.enter(client, limit).map(Some),
            _ => Ok(None),
        }
    }
}

/// The address of the client, where it is known: `from` is who connected.
pub(crate) fn client(
    from: Option<IpAddr>,
    head: &RequestHead<'_>,
    trusted: &[Network],
) -> Option<IpAddr> {
    from.map(|from| forwarded::client(head, from.to_canonical(), trusted))
}

impl Guests {
    fn enter(self: &Arc<Self>, client: IpAddr, limit: u32) -> Result<Box<Slot>, Crowded> {
        let of = counted_as(client);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(of).or_default();
        if *count >= limit {
            if *count == 0 {
                counts.remove(&of);
            }
            return Err(Crowded { limit });
        }
        *count += 1;
        Ok(Box::new(Slot { guests: Arc::clone(self), of }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    use crate::config::ServerConfig;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let gate = Gate::default();
        let enter = |address: &str| gate.enter(Some(address.parse().unwrap()), Some(2));
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
        assert_eq!(gate.guests.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn who_has_no_address_is_not_counted() {
        let gate = Gate::default();
        assert!(gate.enter(None, Some(0)).unwrap().is_none());
        assert!(gate.enter(Some("192.0.2.1".parse().unwrap()), Some(0)).is_err());
        assert!(gate.guests.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_waits_to_come_in_follows_the_configuration() {
        let config = CurrentConfig::new(ServerConfig {
            max_pending_handshakes: 1,
            ..ServerConfig::default()
        });
        let gate = Arc::new(Gate::default());
        let first = gate.pass(&config).await;
        let waiting = tokio::spawn({
            let (gate, config) = (gate.clone(), config.clone());
            async move { gate.pass(&config).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let raised = ServerConfig { max_pending_handshakes: 2, ..ServerConfig::default() };
        config.set(raised);
        let second = waiting.await.unwrap();
        drop((first, second));
        assert_eq!(gate.pending.count.load(Ordering::Acquire), 0, "each place is given back");
    }
}
