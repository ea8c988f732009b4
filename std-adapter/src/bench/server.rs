//! Which server the load goes to, and whether it may.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use clap::Args;

use super::error::BenchError;

/// The server under test.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Address of the server; only loopback without --i-own-this-server
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port of both its WebSocket and its HTTP API
    #[arg(long, default_value_t = 6001)]
    pub(crate) port: u16,
    /// Id of the app, in the paths of the HTTP API
    #[arg(long, default_value = "app-id")]
    pub(crate) app_id: String,
    /// Key of the app
    #[arg(long, default_value = "app-key")]
    pub(crate) key: String,
    /// Secret of the app
    #[arg(long, default_value = "app-secret")]
    pub(crate) secret: String,
    /// I own the server and its network, so the load may leave this machine
    #[arg(long)]
    pub(crate) i_own_this_server: bool,
    /// Process of the server, for its CPU and memory (repeat for several)
    #[arg(long)]
    pub(crate) pid: Vec<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How the result is given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// One JSON object on standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Name of the server in the result
    #[arg(long, default_value = "server")]
    pub(crate) label: String,
    /// Round that the run belongs to, for `bench report`
    #[arg(long, default_value_t = 0)]
    pub(crate) round: u32,
    /// Poll without sleeping: keeps wake-ups out of the server's CPU time, and takes a whole core
    #[arg(long)]
    pub(crate) spin: bool,
}

/// A server that load may go to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// What the `Host` header says.
    pub(crate) host: String,
    /// The app's id.
    pub(crate) app_id: String,
    /// The app's key.
    pub(crate) key: String,
    /// The app's secret.
    pub(crate) secret: String,
}

impl ServerArgs {
    /// The server, if load may go there.
    ///
    /// # Errors
    /// [`BenchError::Arguments`] for a host that cannot be resolved, and for one off loopback without
    /// `--i-own-this-server`; a name is looked up only with that.
    pub(crate) fn target(&self) -> Result<Target, BenchError> {
        Ok(Target {
            addr: SocketAddr::new(self.address()?, self.port),
            host: format!("{}:{}", self.host, self.port),
            app_id: self.app_id.clone(),
            key: self.key.clone(),
            secret: self.secret.clone(),
        })
    }

    fn address(&self) -> Result<IpAddr, BenchError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let literal = if host.eq_ignore_ascii_case("localhost") {
            Some(IpAddr::from([127, 0, 0, 1]))
        } else {
            host.parse().ok()
        };
        match literal {
            Some(address) if address.is_loopback() || self.i_own_this_server => Ok(address),
            None if self.i_own_this_server => resolve(host, self.port),
            _ => Err(BenchError::Arguments(format!(
                "{host} is not a loopback address: a load test can take a server down\n  if server and network are yours, add --i-own-this-server"
            ))),
        }
    }
}

fn resolve(host: &str, port: u16) -> Result<IpAddr, BenchError> {
    let unknown = |why: String| BenchError::Arguments(format!("--host {host}: {why}"));
    let mut found = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    found.next().map(|address| address.ip()).ok_or_else(|| unknown("no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, mine: bool) -> Result<IpAddr, BenchError> {
        let output = OutputArgs { json: false, label: String::new(), round: 0, spin: false };
        let text = String::new;
        let args = ServerArgs {
            host: host.to_owned(),
            port: 1,
            app_id: text(),
            key: text(),
            secret: text(),
            i_own_this_server: mine,
            pid: Vec::new(),
            output,
        };
        args.address()
    }

    #[test]
    fn loopback_needs_no_permission() {
        for host in ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert!(address(host, false).unwrap().is_loopback(), "{host}");
        }
    }

    #[test]
    fn everything_else_needs_it() {
        for host in [
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "192.168.1.1",
            "8.8.8.8",
            "example.com",
            "",
            "::ffff:10.0.0.1",
        ] {
            let error = address(host, false).unwrap_err();
            assert!(error.to_string().contains("--i-own-this-server"), "{host}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        assert_eq!(address("192.168.1.1", true).unwrap(), IpAddr::from([192, 168, 1, 1]));
    }
}
