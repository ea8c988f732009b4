//! What holds for the sockets of a shard, as the configuration has it.

use super::Shard;
use crate::config::ServerConfig;
use crate::server::protocol;
use arc_swap::Guard;
use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tidings_core::pusher::server::ServerConfig as Protocol;

/// What holds for the sockets that have been told the same at their beginning. A change of the configuration reaches
/// them here, but for what they were told.
#[derive(Debug)]
pub(crate) struct Terms {
    protocol: Cell<Protocol>,
    max_waiting: Cell<usize>,
}

impl Terms {
    fn new(config: &ServerConfig) -> Self {
        let protocol = Cell::new(protocol(config));
        Self { protocol, max_waiting: Cell::new(config.max_queue_bytes as usize) }
    }

    /// Bounds and times of the protocol.
    #[inline]
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol.get()
    }

    /// Bytes that may wait for a socket.
    #[inline]
    pub(crate) fn max_waiting(&self) -> usize {
        self.max_waiting.get()
    }

    /// Follows new terms as far as nobody was told otherwise: the time after which clients ping was announced to
    /// them, and the reader of their frames was made with its bound.
    fn follow(&self, new: &Self) {
        let (old, mut protocol) = (self.protocol.get(), new.protocol.get());
        protocol.activity_timeout_s = old.activity_timeout_s;
        protocol.limits = old.limits;
        self.protocol.set(protocol);
        self.max_waiting.set(new.max_waiting.get());
    }
}

/// The terms of all sockets of a shard.
pub(super) struct AllTerms {
    /// What the newest were made from.
    config: Arc<ServerConfig>,
    newest: Rc<Terms>,
    /// Those that sockets may still have.
    earlier: Vec<Weak<Terms>>,
}

impl AllTerms {
    pub(super) fn new(config: Guard<Arc<ServerConfig>>) -> Self {
        let newest = Rc::new(Terms::new(&config));
        Self { config: Guard::into_inner(config), newest, earlier: Vec::new() }
    }

    fn renew(&mut self, config: Arc<ServerConfig>) {
        let new = Terms::new(&config);
        let follow = |terms: &Weak<Terms>| terms.upgrade().map(|terms| terms.follow(&new));
        self.earlier.retain(|terms| follow(terms).is_some());
        self.newest.follow(&new);
        if self.newest.protocol() != new.protocol() {
            let old = std::mem::replace(&mut self.newest, Rc::new(new));
            self.earlier.push(Rc::downgrade(&old));
        }
        self.config = config;
    }
}

impl Shard {
    /// What holds for a socket that begins now. All others follow when the configuration has changed.
    pub(crate) fn terms(&self) -> Rc<Terms> {
        let config = self.hub.config();
        let mut all = self.terms.borrow_mut();
        if !Arc::ptr_eq(&all.config, &config) {
            all.renew(Guard::into_inner(config));
        }
        Rc::clone(&all.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::hub::Hub;
    use std::time::Duration;

    #[test]
    fn sockets_keep_what_they_were_told_and_follow_in_all_else() {
        let apps = crate::Apps::development();
        let (hub, _mail, _facts) = Hub::new(apps, ServerConfig::default(), 1, None);
        let shard = Shard::new(0, hub.clone());
        let first = shard.terms();
        let mut config = ServerConfig {
            pong_timeout: Duration::from_secs(7),
            max_queue_bytes: 20_000,
            ..ServerConfig::default()
        };
        hub.current_config().set(config.clone());
        assert!(Rc::ptr_eq(&first, &shard.terms()), "nothing was told that is different");
        assert_eq!((first.protocol().pong_timeout_s, first.max_waiting()), (7, 20_000));

        config.activity_timeout = Duration::from_secs(9);
        config.max_message_bytes = 2_000;
        config.close_timeout = Duration::from_secs(3);
        hub.current_config().set(config.clone());
        let second = shard.terms();
        assert_eq!(second.protocol(), protocol(&config));
        assert_eq!(
            (first.protocol().activity_timeout_s, first.protocol().close_timeout_s),
            (120, 3)
        );
        assert_eq!(first.protocol().limits, protocol(&ServerConfig::default()).limits);

        drop(second);
        config.activity_timeout = Duration::from_secs(8);
        hub.current_config().set(config);
        shard.terms();
        assert_eq!(shard.terms.borrow().earlier.len(), 2);
        hub.current_config().set(ServerConfig::default());
        shard.terms();
        assert_eq!(shard.terms.borrow().earlier.len(), 2, "terms that nobody has are forgotten");
    }
}
