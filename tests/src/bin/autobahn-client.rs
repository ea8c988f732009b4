//! An echo client for the conformance suite, which tells it by its environment where to connect and how often.

use std::io;

use tidings_tests::echo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let url = variable("AUTOBAHN_URL")?;
    let agent = variable("AUTOBAHN_AGENT")?;
    let cases: u32 = variable("AUTOBAHN_CASES")?.parse().map_err(io::Error::other)?;
    let (host, port) = url
        .strip_prefix("ws://")
        .and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'))
        .ok_or_else(|| io::Error::other(format!("AUTOBAHN_URL is not ws://HOST:PORT: {url}")))?;
    let port: u16 = port.parse().map_err(io::Error::other)?;

    for case in 1..=cases {
        let target = format!("/runCase?case={case}&agent={agent}");
        // The suite ends many connections rudely; it judges them itself.
        if let Err(error) = echo::connect(host, port, &target).await {
            eprintln!("case {case} ended: {error}");
        }
    }
    echo::connect(host, port, &format!("/updateReports?agent={agent}")).await
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
