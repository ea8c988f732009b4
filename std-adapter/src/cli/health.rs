//! `tidings health`: for a container, whose image has nothing else to ask with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;

use super::{EXIT_USAGE, fail, runtime, serve};
use crate::config::{AppOptions, ServerConfig, ServerOptions};
use crate::outbound::http::{HttpClient, HttpFailure};
use crate::outbound::{Tls, authority};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer says in a line what is the matter.
const MAX_BODY: usize = 4096;

const ABOUT: &str = "\
Ask a server on this machine whether it is alive

Without a URL it finds the server as `serve` would be configured by the file and the environment; flags that
the server was given it cannot know. Nothing is printed when all is well.

Exit codes: 0 all is well; 1 it is not, or there is no answer; 2 wrong arguments or configuration.";

/// The arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(about = "Ask a server on this machine whether it is alive", long_about = ABOUT)]
pub(super) struct Args {
    /// What to ask, such as `https://ws.example.com/ready`
    #[arg(conflicts_with_all = ["ready", "config"])]
    url: Option<Uri>,
    /// Ask whether new clients are welcome: no while it ends, nor while it does not reach its backplane
    #[arg(long)]
    ready: bool,
    /// TOML file of the server, or a JSON file of Soketi
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// PEM file with the authorities to trust, in place of the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    roots: Option<PathBuf>,
}

/// Asks once.
pub(super) fn run(args: Args) -> ExitCode {
    let prepared = args.url.map_or_else(|| configured(args.config, args.ready), Ok);
    let prepared = prepared.and_then(|url| Ok((trusted(&url, args.roots.as_deref())?, url)));
    let (tls, url) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let asked = match runtime() {
        Ok(runtime) => runtime.block_on(ask(tls.as_ref(), &url)),
        Err(error) => return fail(1, &error),
    };
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{url}: {error}")),
    }
}

/// The URL of the server that `serve` would start.
fn configured(config: Option<PathBuf>, ready: bool) -> Result<Uri, String> {
    let flags = (ServerOptions::default(), AppOptions::default());
    let settings = serve::load(config, flags).map_err(|error| error.to_string())?;
    let (host, port) = place(&settings.server)?;
    let path = if ready { "/ready" } else { "/" };
    let url = format!("http://{}{path}", authority(host, port));
    url.parse().map_err(|error| format!("{url}: {error}"))
}

/// Where the server can be asked in plain HTTP: at its listener for metrics, else where clients connect.
fn place(server: &ServerConfig) -> Result<(&str, u16), String> {
    let (host, port) = if server.metrics {
        (&*server.metrics_host, server.metrics_port)
    } else if server.proxy_protocol || (server.has_certificates() && server.tls_port.is_none()) {
        return Err("the server speaks only TLS or the PROXY protocol: give a URL, or set `metrics = true`, \
             whose listener can be asked"
            .into());
    } else {
        (&*server.host, server.port)
    };
    if port == 0 {
        return Err("the server takes any free port: give its URL".into());
    }
    // A server that listens everywhere is met on the loopback address.
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        other => other,
    };
    Ok((host, port))
}

/// Whom to trust, if the URL needs it.
fn trusted(url: &Uri, roots: Option<&Path>) -> Result<Option<Tls>, String> {
    match (url.scheme_str(), roots) {
        (Some("http"), _) => Ok(None),
        (Some("https"), None) => Tls::system().map(Some).map_err(|error| error.to_string()),
        (Some("https"), Some(path)) => {
            let shown = path.display();
            let pem = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
            Tls::with_roots(&pem).map(Some).map_err(|error| format!("{shown}: {error}"))
        }
        _ => Err(format!("{url} is no URL: it begins with http:// or https://")),
    }
}

async fn ask(tls: Option<&Tls>, url: &Uri) -> Result<(), String> {
    let request = Request::get(url).body(Full::<Bytes>::default());
    let request = request.map_err(|error| error.to_string())?;
    let answer = HttpClient::new(tls, PATIENCE, 0).send(request, MAX_BODY, PATIENCE).await;
    let answer = answer.map_err(|failure| match failure {
        HttpFailure::Connect(error) => format!("nobody answers: {error}"),
        HttpFailure::TimedOut => format!("no answer within {} s", PATIENCE.as_secs()),
        HttpFailure::Transport(error) => error,
    })?;
    if answer.status == StatusCode::OK {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    let line = text.lines().next().unwrap_or_default();
    Err(format!("{}: {line}", answer.status).trim_end_matches([':', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_where_it_speaks_plainly() {
        let mut server = ServerConfig::default();
        assert_eq!(place(&server), Ok(("127.0.0.1", 6001)));
        (server.host, server.port) = ("0.0.0.0".into(), 7000);
        assert_eq!(place(&server), Ok(("127.0.0.1", 7000)));
        server.host = "::".into();
        assert_eq!(place(&server), Ok(("::1", 7000)));
        (server.tls_cert, server.tls_key) = (Some("c".into()), Some("k".into()));
        assert!(place(&server).unwrap_err().contains("metrics = true"));
        server.tls_port = Some(7001);
        assert_eq!(place(&server), Ok(("::1", 7000)));
        server.proxy_protocol = true;
        assert!(place(&server).unwrap_err().contains("give a URL"));
        server.metrics = true;
        assert_eq!(place(&server), Ok(("127.0.0.1", 9601)));
        server.metrics_port = 0;
        assert!(place(&server).unwrap_err().contains("any free port"));
    }
}
