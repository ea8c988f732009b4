//! The server inside an axum application: your routes, our sockets and HTTP API, one port.
//!
//! `cargo run --example axum`, connect a Pusher client to 127.0.0.1:3000 with the key `shop-key`, subscribe
//! it to `orders`, then `curl -X POST http://127.0.0.1:3000/orders/7`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, serve};
use tidings::{App, Event, Server, ServerHandle};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server =
        Server::builder().app(App::new("shop", "shop-key", "a long random secret")).start()?;
    let router = Router::new()
        .route("/", get(|| async { "An application of yours" }))
        .route("/orders/{id}", post(order))
        // What is no route of yours is /app/KEY, /apps/ID/… or nothing.
        .fallback_service(server.service())
        .with_state(server);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{0}/ and ws://{0}/app/shop-key", listener.local_addr()?);
    Ok(serve(listener, router).await?)
}

/// Takes an order and tells everyone who watches.
async fn order(State(server): State<ServerHandle>, Path(id): Path<u32>) -> StatusCode {
    match server.publish("shop", Event::new("orders", "created", &format!(r#"{{"id":{id}}}"#))) {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
