//! An echo server for the conformance suite: `autobahn-server PORT`, on loopback.

use std::net::Ipv4Addr;

use tidings_tests::echo;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let Some(port) = port else {
        eprintln!("usage: autobahn-server PORT");
        std::process::exit(2);
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The suite ends many connections rudely; each is its own affair.
            if let Err(error) = echo::serve(stream).await {
                eprintln!("connection ended: {error}");
            }
        });
    }
}
