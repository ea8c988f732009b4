//! What the device is told when it starts.

use core::fmt;
use core::fmt::Write as _;

use embassy_net::{Config, Ipv4Address, Ipv4Cidr, StaticConfigV4};
use heapless::{String, Vec};
#[cfg(feature = "tls")]
use tidings_embassy::tls::Pin;

/// The options, read from words such as `port=6001`.
///
/// `host=`, `port=`, `key=`, `secret=`, `device=` (its name), `readings=` (how many to send; 0 for one a second for ever),
/// `pong-timeout=` in seconds, `address=` (a static one such as 10.0.2.15/24, with `gateway=`; without it DHCP), and over TLS
/// `pin=`, which may come twice.
pub struct Options {
    /// The server's name or address.
    pub host: String<64>,
    /// The server's port.
    pub port: u16,
    /// The app's key.
    pub key: String<64>,
    /// The app's secret, with which the device signs.
    pub secret: String<64>,
    /// The device's name, in its readings.
    pub device: String<32>,
    /// What the members of `presence-devices` are told about the device.
    pub member: String<64>,
    /// How many readings to send as fast as they leave; with 0 there is one a second.
    pub readings: u32,
    /// How long to wait for a pong; with 0 as long as the protocol says.
    pub pong_timeout_s: u16,
    /// The keys of which the server has one.
    #[cfg(feature = "tls")]
    pub pins: Vec<Pin, 2>,
    address: Option<Ipv4Cidr>,
    gateway: Option<Ipv4Address>,
}

/// The secret does not show.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, device, .. } = self;
        f.debug_struct("Options")
            .field("host", host)
            .field("port", port)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The options of a device with this name, on a board that has words for it.
    #[must_use]
    pub fn new(device: &str) -> Self {
        let mut options = Self {
            host: String::new(),
            port: 6001,
            key: String::new(),
            secret: String::new(),
            device: String::new(),
            member: String::new(),
            readings: 0,
            pong_timeout_s: 0,
            #[cfg(feature = "tls")]
            pins: Vec::new(),
            address: None,
            gateway: None,
        };
        let _ = options.name(device);
        options
    }

    fn name(&mut self, device: &str) -> Option<()> {
        self.device = String::try_from(device).ok()?;
        self.member.clear();
        write!(self.member, r#"{{"user_id":"{device}"}}"#).ok()
    }

    /// Takes a word; `None` when it is none of those above.
    #[must_use]
    pub fn set(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once('=')?;
        match name {
            "host" => self.host = String::try_from(value).ok()?,
            "port" => self.port = value.parse().ok()?,
            "key" => self.key = String::try_from(value).ok()?,
            "secret" => self.secret = String::try_from(value).ok()?,
            "device" => self.name(value)?,
            "readings" => self.readings = value.parse().ok()?,
            "pong-timeout" => self.pong_timeout_s = value.parse().ok()?,
            "address" => self.address = Some(value.parse().ok()?),
            "gateway" => self.gateway = Some(value.parse().ok()?),
            #[cfg(feature = "tls")]
            "pin" => self.pins.push(Pin::from_hex(value)?).ok()?,
            _ => return None,
        }
        Some(())
    }

    /// How the network is configured.
    #[must_use]
    pub fn network(&self) -> Config {
        match self.address {
            Some(address) => Config::ipv4_static(StaticConfigV4 {
                address,
                gateway: self.gateway,
                dns_servers: Vec::new(),
            }),
            None => Config::dhcpv4(Default::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_and_others_are_not() {
        let mut options = Options::new("here");
        assert_eq!((options.device.as_str(), options.port), ("here", 6001));
        for word in ["host=10.0.2.2", "port=7000", "device=there", "address=10.0.2.15/24"] {
            assert_eq!(options.set(word), Some(()), "{word}");
        }
        assert_eq!((options.host.as_str(), options.port), ("10.0.2.2", 7000));
        assert_eq!(options.member, r#"{"user_id":"there"}"#);
        assert!(matches!(options.network(), Config { ipv4: embassy_net::ConfigV4::Static(_), .. }));
        for word in ["", "host", "port=x", "port=70000", "elsewhere=1", "address=here"] {
            assert_eq!(options.set(word), None, "{word}");
        }
        assert_eq!(options.set("device=a-name-that-is-much-too-long-for-a-device"), None);
    }
}
