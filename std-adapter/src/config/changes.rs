//! Which options can change while a server runs.

use super::ServerConfig;

/// What became of the options that are different in a new configuration, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChanges {
    /// Those that are in force now.
    pub in_force: Vec<&'static str>,
    /// Those that wait for the next start.
    pub waiting: Vec<&'static str>,
}

impl ConfigChanges {
    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_force.is_empty() && self.waiting.is_empty()
    }
}

/// Sorts every option of [`ServerConfig`] into one class; one that is in none does not compile.
macro_rules! classes {
    (
        // Read where they are used.
        now: $($now:ident)*;
        // The files of certificates, read for connections to come where TLS is spoken.
        files: $($file:ident)*;
        // Addresses, threads, and what other servers rely on.
        start: $($start:ident)*;
    ) => {
        impl ServerConfig {
            /// The options that take effect at once.
            #[cfg(all(feature = "cli", test))]
            pub(crate) const NOW: &'static [&'static str] = &[$(stringify!($now)),*];
            /// The options that take effect at once where TLS is spoken.
            #[cfg(all(feature = "cli", test))]
            pub(crate) const FILES: &'static [&'static str] = &[$(stringify!($file)),*];
            /// The options that wait for the next start.
            #[cfg(all(feature = "cli", test))]
            pub(crate) const START: &'static [&'static str] = &[$(stringify!($start)),*];

            /// This configuration with all of `new` that takes effect at once, and what is different. Files of
            /// certificates are taken over if `files`.
            pub(crate) fn adopting(&self, new: &Self, files: bool) -> (Self, ConfigChanges) {
                let Self { $($now,)* $($file,)* $($start,)* } = new;
                let (mut next, mut changes) = (self.clone(), ConfigChanges::default());
                $(if self.$now != *$now {
                    next.$now.clone_from($now);
                    changes.in_force.push(stringify!($now));
                })*
                $(if self.$file != *$file {
                    if files {
                        next.$file.clone_from($file);
                        changes.in_force.push(stringify!($file));
                    } else {
                        changes.waiting.push(stringify!($file));
                    }
                })*
                $(if self.$start != *$start {
                    changes.waiting.push(stringify!($start));
                })*
                (next, changes)
            }
        }
    };
}

classes! {
    // Read where they are used.
    now:
        proxy_protocol trusted_proxies allowed_origins
        max_connections_per_address max_accepts_per_second max_pending_handshakes
        path_prefix soketi_answers
        max_message_bytes max_queue_bytes max_head_bytes max_headers max_body_bytes
        handshake_timeout keep_alive_timeout activity_timeout pong_timeout close_timeout
        user_authentication_timeout shutdown_grace shutdown_delay
        webhook_delay webhook_timeout webhook_retry webhook_backoff webhook_batching webhook_batch_window
        max_webhook_batch max_webhook_queue max_webhook_queue_bytes
        feed_keep_alive feed_retention max_feed_queue
        metrics_prefix metrics_soketi_prefix
        console_password console_read_only;
    // The files of certificates, read for connections to come where TLS is spoken.
    files: tls_cert tls_key tls_client_ca certificates;
    // Addresses, threads, and what other servers rely on.
    start:
        host port tls_port listen_unix listen_unix_mode reuse_port threads
        backplane backplane_prefix backplane_lease
        metrics metrics_host metrics_port;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_is_taken_over_and_the_rest_is_named() {
        let old = ServerConfig::default();
        let mut new = old.clone();
        new.port = 1;
        new.max_headers = 17;
        new.tls_cert = Some("a.pem".into());
        let (next, changes) = old.adopting(&new, false);
        assert_eq!((next.port, next.max_headers), (old.port, 17));
        assert_eq!(changes.in_force, ["max_headers"]);
        assert_eq!(changes.waiting, ["tls_cert", "port"]);
        let (next, changes) = old.adopting(&new, true);
        assert_eq!((&next.tls_cert, changes.waiting), (&new.tls_cert, vec!["port"]));
        assert!(next.adopting(&next, true).1.is_empty());
    }
}
