//! A whole server in twenty lines: it tells the time to whoever subscribes to `clock`.
//!
//! `cargo run --example server`, then connect a Pusher client to 127.0.0.1:6001 with the key `clock-key`.

use std::time::{Duration, SystemTime};

use tidings::{App, Event, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::new("clock", "clock-key", "a long random secret");
    let server = Server::builder().app(app).listen("127.0.0.1:6001").start()?;
    println!("ws://{}/app/clock-key", server.addresses()[0]);
    loop {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        server.publish("clock", Event::new("clock", "tick", &now.to_string()))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
