//! What `serve` prints when it is up: where it is, for whom, and how to use it.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::app::{App, Apps};

/// An address of the server, and whether TLS is spoken there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) tls: bool,
}

/// The text for a server with these apps on these addresses. It holds no secret, except that of the
/// development app, which everyone knows.
pub(super) fn text(
    apps: &Apps,
    places: &[Place],
    unix: Option<&Path>,
    prefix: &str,
    dev: bool,
) -> String {
    let mut text = String::new();
    let written = write(&mut text, apps, (places, unix), prefix, dev);
    debug_assert!(written.is_ok(), "a String takes all");
    text
}

fn write(
    out: &mut String,
    apps: &Apps,
    (places, unix): (&[Place], Option<&Path>),
    prefix: &str,
    dev: bool,
) -> fmt::Result {
    writeln!(out, "tidings {} is up", env!("CARGO_PKG_VERSION"))?;
    for Place { address, tls } in places {
        let s = if *tls { "s" } else { "" };
        writeln!(out, "  sockets   ws{s}://{address}{prefix}/app/KEY")?;
        writeln!(out, "  HTTP API  http{s}://{address}{prefix}/apps/ID/events")?;
    }
    if let Some(path) = unix {
        writeln!(out, "  both      unix:{}", path.display())?;
    }
    for app in apps.iter().take(SHOWN) {
        let note = match (apps.is_development(), app.enabled) {
            (true, _) => "   (for development: its secret is app-secret)",
            (false, false) => "   (disabled)",
            (false, true) => "",
        };
        writeln!(out, "  app       ID {}   KEY {}{note}", app.id, app.key)?;
    }
    if apps.len() > SHOWN {
        writeln!(out, "  app       and {} more", apps.len() - SHOWN)?;
    }
    if let (true, Some(Place { address, .. })) = (dev, places.first()) {
        writeln!(out, "  dev mode  any other KEY is an app that trusts every signature")?;
        writeln!(out, "  console   http://{address}{prefix}/console")?;
        writeln!(out, "  faults    http://{address}{prefix}/dev/faults")?;
    }
    if let (Some(app), Some(place)) = (apps.iter().next(), places.first()) {
        let secret = if apps.is_development() { "app-secret" } else { "THE-SECRET" };
        how_to(out, &app, place, prefix, secret)?;
    }
    Ok(())
}

/// How many apps are told one by one.
const SHOWN: usize = 20;

/// The two programs that show that all works.
fn how_to(out: &mut String, app: &App, place: &Place, prefix: &str, secret: &str) -> fmt::Result {
    let (address, tls) = (reachable(place.address), place.tls);
    let (host, port) = (host(address.ip()), address.port());
    let (wss, scheme) = if tls { ("wss", "https") } else { ("ws", "http") };
    let ws_path = if prefix.is_empty() { String::new() } else { format!(", wsPath: \"{prefix}\"") };
    writeln!(
        out,
        r#"
Subscribe, in a page or in node (npm install pusher-js):

  const pusher = new Pusher("{key}", {{ cluster: "", wsHost: "{host}", {wss}Port: {port}{ws_path}, forceTLS: {tls}, enabledTransports: ["{wss}"] }});
  pusher.subscribe("my-channel").bind("hello", (data) => console.log(data));
"#,
        key = app.key,
    )?;
    if prefix.is_empty() {
        writeln!(
            out,
            r#"Publish, in node (npm install pusher) or by any other server SDK of Pusher:

  const pusher = new (require("pusher"))({{ appId: "{id}", key: "{key}", secret: "{secret}", host: "{host}", port: "{port}", useTLS: {tls} }});
  pusher.trigger("my-channel", "hello", {{ text: "Hi" }});
"#,
            id = app.id,
            key = app.key,
        )?;
    } else {
        writeln!(
            out,
            r#"Publish by an SDK that takes a path, such as PHP's:

  $pusher = new Pusher\Pusher("{key}", "{secret}", "{id}", ["host" => "{host}", "port" => {port}, "path" => "{prefix}", "scheme" => "{scheme}"]);
  $pusher->trigger("my-channel", "hello", ["text" => "Hi"]);
"#,
            id = app.id,
            key = app.key,
        )?;
    }
    Ok(())
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Place {
        Place { address: text.parse().unwrap(), tls: false }
    }

    #[test]
    fn an_address_with_tls_is_told_as_such() {
        let place = Place { tls: true, ..address("127.0.0.1:6001") };
        let text = text(&Apps::development(), &[place], None, "", false);
        for part in [
            "wss://127.0.0.1:6001/app/KEY",
            "https://127.0.0.1",
            "wssPort: 6001, forceTLS: true",
            "useTLS: true",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("ws://") && !text.contains("http://"), "{text}");
    }

    #[test]
    fn fr_136_version_addresses_and_apps_are_told() {
        let text = text(&Apps::development(), &[address("127.0.0.1:6001")], None, "", false);
        for part in [
            concat!("tidings ", env!("CARGO_PKG_VERSION"), " is up"),
            "ws://127.0.0.1:6001/app/KEY",
            "http://127.0.0.1:6001/apps/ID/events",
            "ID app-id   KEY app-key",
            r#"secret: "app-secret""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn fr_137_addresses_have_the_prefix() {
        let text = text(&Apps::development(), &[address("[::1]:80")], None, "/ws", false);
        for part in ["ws://[::1]:80/ws/app/KEY", "http://[::1]:80/ws/apps/ID", r#"wsPath: "/ws""#] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn of_many_apps_the_first_are_told_and_the_rest_counted() {
        let app = |i: usize| App::new(format!("id{i}"), format!("key{i}"), "s");
        let apps = Apps::new((0..SHOWN + 2).map(app).collect()).unwrap();
        let text = text(&apps, &[address("127.0.0.1:1")], None, "", false);
        assert!(text.contains("ID id19 ") && !text.contains("ID id20 "), "{text}");
        assert!(text.contains("and 2 more"), "{text}");
    }

    #[test]
    fn a_secret_of_an_own_app_is_not_told() {
        let apps = Apps::new(vec![App::new("1", "k", "hunter2")]).unwrap();
        let text = text(&apps, &[address("0.0.0.0:1")], None, "", false);
        assert!(!text.contains("hunter2") && text.contains("THE-SECRET"), "{text}");
        assert!(text.contains(r#"wsHost: "127.0.0.1""#), "{text}");
    }
}
