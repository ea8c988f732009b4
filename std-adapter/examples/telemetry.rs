//! A live page for devices: a small chart of each, and a lamp to switch.
//!
//! `cargo run --example telemetry`, then open <http://127.0.0.1:6001> and start a device, such as the one that
//! embassy-example/README.md shows. The page loads pusher-js from Pusher's own network, so the browser must reach the
//! Internet.
//!
//! Devices send their readings as client events on `private-telemetry`; the page hears them there. The lamp's button is
//! an HTTP request to this program, which publishes a `led` event that the devices obey.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings::{App, Event, Server, ServerHandle};
use tidings_core::auth::{SigningKey, sign_channel};
use tokio::net::TcpListener;

const CHANNEL: &str = "private-telemetry";

struct Lamp {
    server: ServerHandle,
    switched: AtomicU32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::development();
    app.max_client_events_per_second = Some(1000);
    let server = Server::builder().app(app).start()?;
    let service = server.service();
    let lamp = Arc::new(Lamp { server, switched: AtomicU32::new(0) });
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("telemetry.html")) }))
        .route("/authorise", post(authorise))
        .route("/led", post(switch))
        .with_state(lamp)
        .fallback_service(service);
    let listener = TcpListener::bind("127.0.0.1:6001").await?;
    println!(
        "open http://{}, and let devices connect to it with app-key and app-secret",
        listener.local_addr()?
    );
    Ok(axum::serve(listener, router).await?)
}

/// What pusher-js asks before it subscribes.
#[derive(Debug, Deserialize)]
struct Asked {
    socket_id: String,
    channel_name: String,
}

/// Lets every page on this machine look on. An application would ask who is logged in.
async fn authorise(Form(asked): Form<Asked>) -> Result<Json<Value>, StatusCode> {
    if asked.channel_name != CHANNEL {
        return Err(StatusCode::FORBIDDEN);
    }
    let signature = sign_channel(&SigningKey::new(b"app-secret"), &asked.socket_id, CHANNEL, None);
    Ok(Json(json!({"auth": format!("app-key:{}", signature.as_str())})))
}

#[derive(Debug, Deserialize)]
struct Switch {
    on: bool,
}

async fn switch(State(lamp): State<Arc<Lamp>>, Json(switch): Json<Switch>) -> StatusCode {
    let n = lamp.switched.fetch_add(1, Ordering::Relaxed);
    let data = json!({"on": switch.on, "n": n}).to_string();
    match lamp.server.publish("app-id", Event::new(CHANNEL, "led", &data)) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
