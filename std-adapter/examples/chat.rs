//! A chat: a page with pusher-js, and this server, which it talks through.
//!
//! `cargo run --example chat`, then open <http://127.0.0.1:3000> in two windows. The page loads pusher-js
//! from Pusher's own network, so the browser must reach the Internet.
//!
//! The pages send what is said as client events on a presence channel, which the server relays. What is
//! left to the application is to decide who may come in, and under which name: [`authorise`].

use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings::{App, Server};
use tidings_core::auth::{SigningKey, sign_channel};
use tokio::net::TcpListener;

const KEY: &str = "chat-key";
const SECRET: &str = "a long random secret";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::new("chat", KEY, SECRET);
    app.client_events = true;
    let server = Server::builder().app(app).start()?;
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("chat.html")) }))
        .route("/authorise", post(authorise))
        .fallback_service(server.service());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("open http://{} in two windows", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

/// What pusher-js asks before it subscribes; the page adds the name.
#[derive(Debug, Deserialize)]
struct Asked {
    socket_id: String,
    channel_name: String,
    name: String,
}

/// Lets everyone into the chat who has a name. An application would look at its session instead, and
/// never take the user's word for the id.
async fn authorise(Form(asked): Form<Asked>) -> Result<Json<Value>, StatusCode> {
    if asked.channel_name != "presence-chat" || asked.name.is_empty() {
        return Err(StatusCode::FORBIDDEN);
    }
    let member = json!({"user_id": asked.socket_id, "user_info": {"name": asked.name}}).to_string();
    let key = SigningKey::new(SECRET.as_bytes());
    let signature = sign_channel(&key, &asked.socket_id, &asked.channel_name, Some(&member));
    let auth = format!("{KEY}:{}", signature.as_str());
    Ok(Json(json!({"auth": auth, "channel_data": member})))
}
