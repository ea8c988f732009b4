//! Apps that are looked up when somebody names them.

mod support;
mod support_http;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Client, address, block_on, builder, eventually};
use support_http::{Answer, Connection, Request};
use tidings::{App, AppFinder, AppName, Event, ServerConfig, ServerHandle};

/// A place where apps are kept, which counts what it is asked.
#[derive(Default)]
struct Shelf {
    /// Secrets by name; id and key of an app are its name with `-id` and `-key`.
    apps: Mutex<HashMap<String, String>>,
    asked: AtomicUsize,
    is_away: AtomicBool,
    delay: Mutex<Duration>,
}

impl Shelf {
    fn put(&self, name: &str) {
        self.apps.lock().unwrap().insert(name.to_owned(), "secret".to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn find(&self, asked: &AppName) -> Result<Option<App>, String> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err("the shelf is away".to_owned());
        }
        let name = match asked {
            AppName::Id(id) => id.strip_suffix("-id"),
            AppName::Key(key) => key.strip_suffix("-key"),
        };
        if name == Some("bad") {
            return Ok(Some(App::new("another", "another-key", "s")));
        }
        assert_ne!(name, Some("panic"), "on purpose");
        let apps = self.apps.lock().unwrap();
        let app = |name: &str| {
            Some(App::new(format!("{name}-id"), format!("{name}-key"), &**apps.get(name)?))
        };
        Ok(name.and_then(app))
    }

    fn finder(self: &Arc<Self>) -> AppFinder {
        let shelf = Arc::clone(self);
        AppFinder::new(move |name| {
            shelf.asked.fetch_add(1, Ordering::SeqCst);
            let (shelf, delay) = (Arc::clone(&shelf), *shelf.delay.lock().unwrap());
            async move {
                tokio::time::sleep(delay).await;
                Ok(shelf.find(&name)?)
            }
        })
    }
}

fn start(change: impl FnOnce(AppFinder) -> AppFinder) -> (ServerHandle, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let mut config = ServerConfig::default();
    config.threads = 2;
    let finder = change(shelf.finder());
    (builder().config(config).find_apps(finder).start().unwrap(), shelf)
}

fn open(server: &ServerHandle, name: &str) -> Client {
    Client::open(server, &format!("/app/{name}-key?protocol=7"))
}

/// What asks for a WebSocket.
fn upgrade(name: &str) -> String {
    format!(
        "GET /app/{name}-key?protocol=7 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Asks for a WebSocket and does not wait for the answer.
fn ask(server: &ServerHandle, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(upgrade(name).as_bytes()).unwrap();
    stream
}

/// The code that a client is closed with.
fn refused(server: &ServerHandle, name: &str) -> u16 {
    open(server, name).closed().code.into()
}

fn connect(server: &ServerHandle, name: &str) -> Client {
    let mut client = open(server, name);
    assert_eq!(client.event()["event"], "pusher:connection_established");
    client
}

fn request(name: &str) -> Request {
    let body = r#"{"channel":"a","name":"e","data":"{}"}"#;
    Request::post(&format!("/apps/{name}-id/events"), body).with("auth_key", &format!("{name}-key"))
}

fn publish(server: &ServerHandle, name: &str) -> Answer {
    request(name).send(address(server))
}

#[test]
fn an_app_is_there_at_its_first_question_and_asked_for_once() {
    let (server, shelf) = start(|finder| finder);
    for name in ["socket", "short", "hyper", "feed", "terminate"] {
        shelf.put(name);
    }
    let mut client = connect(&server, "socket");
    client.subscribe("a");
    assert_eq!(publish(&server, "socket").status, 200);
    assert_eq!(client.event()["event"], "e");
    assert_eq!(shelf.asked(), 1, "a known app is not asked for");

    assert_eq!(publish(&server, "short").status, 200);
    // A page's origin goes the long way.
    let by_page = request("hyper").header("Origin: http://localhost");
    assert_eq!(by_page.send(address(&server)).status, 200);
    let mut feed = TcpStream::connect(address(&server)).unwrap();
    feed.write_all(&Request::get("/apps/feed-id/feed").with("auth_key", "feed-key").bytes())
        .unwrap();
    eventually("the app of the feed", || server.apps().by_id("feed-id").is_some());
    let terminate = Request::post("/users/u/terminate_connections", "{}");
    let terminate = terminate.with("auth_key", "terminate-key");
    assert_eq!(terminate.send(address(&server)).status, 200);
    assert_eq!((shelf.asked(), server.apps().len()), (5, 5));
}

#[test]
fn a_socket_on_a_kept_alive_connection_and_one_in_another_server_wait_too() {
    let (server, shelf) = start(|finder| finder);
    shelf.put("kept");
    shelf.put("mounted");
    let mut connection = Connection::open(address(&server));
    assert_eq!(connection.request(&request("none")).status, 404);
    connection.send(upgrade("kept").as_bytes());
    assert_eq!(connection.answer(true).status, 101);
    eventually("the kept one", || server.connections("kept-id") == 1);

    let service = server.service();
    block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback_service(service);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(upgrade("mounted").as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains("pusher:connection_established") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{read:?}");
        }
    });
    assert_eq!(shelf.asked(), 3);
}

#[test]
fn an_app_that_is_not_there_is_refused_for_good_and_remembered_for_a_while() {
    let (server, shelf) = start(|finder| finder.unknown_for(Duration::from_millis(300)));
    for _ in 0..3 {
        assert_eq!(refused(&server, "new"), 4001);
    }
    assert_eq!(shelf.asked(), 1);
    assert_eq!(publish(&server, "new").status, 404);
    assert_eq!(shelf.asked(), 2, "an id is another question");
    shelf.put("new");
    std::thread::sleep(Duration::from_millis(350));
    connect(&server, "new");
    assert_eq!(publish(&server, "new").status, 200);
    assert_eq!(shelf.asked(), 3, "the app is known by its id as well");
}

#[test]
fn many_unknown_keys_make_few_questions_and_all_are_answered() {
    let (server, shelf) = start(|finder| finder.max_per_second(20));
    let began = Instant::now();
    let mut codes = HashMap::<u16, usize>::new();
    for number in 0..1000 {
        *codes.entry(refused(&server, &number.to_string())).or_default() += 1;
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!(shelf.asked() <= 20 * seconds, "{} in {seconds} s", shelf.asked());
    assert_eq!(codes[&4001], shelf.asked(), "who was looked up is not there");
    assert_eq!(codes[&4001] + codes.get(&4100).copied().unwrap_or_default(), 1000, "{codes:?}");
}

#[test]
fn all_who_name_an_app_at_once_share_a_question_and_nobody_else_waits() {
    let (server, shelf) = start(|finder| finder);
    server.put_app(App::new("known-id", "known-key", "secret")).unwrap();
    shelf.put("new");
    *shelf.delay.lock().unwrap() = Duration::from_millis(1500);
    let mut waiting: Vec<TcpStream> = (0..40).map(|_| ask(&server, "new")).collect();
    eventually("the question", || shelf.asked() == 1);
    // One that goes does not take the question with it.
    drop(waiting.remove(0));
    let began = Instant::now();
    (0..4).for_each(|_| drop(connect(&server, "known")));
    assert_eq!(publish(&server, "known").status, 200);
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(server.connections("new-id"), 0);
    for stream in &mut waiting {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains("pusher:connection_established") {
            let mut some = [0; 1024];
            let n = stream.read(&mut some).unwrap();
            assert_ne!(n, 0, "{read:?}");
            read.extend_from_slice(&some[..n]);
        }
    }
    assert_eq!(shelf.asked(), 1);
}

#[test]
fn who_names_an_app_while_nobody_can_be_asked_is_told_to_come_again() {
    let (server, shelf) = start(|finder| finder.patience(Duration::from_millis(200)));
    shelf.put("new");
    shelf.is_away.store(true, Ordering::SeqCst);
    let retry = |what: &str| {
        let mut client = open(&server, "new");
        let error = client.event();
        assert_eq!(
            (&error["event"], &error["data"]["code"]),
            (&"pusher:error".into(), &4100.into())
        );
        assert_eq!(u16::from(client.closed().code), 4100, "{what}");
        let answer = publish(&server, "new");
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{what}");
        assert!(answer.error().contains("try again"), "{answer:?}");
    };
    retry("an error");
    shelf.is_away.store(false, Ordering::SeqCst);
    *shelf.delay.lock().unwrap() = Duration::from_secs(60);
    retry("no answer in time");
    *shelf.delay.lock().unwrap() = Duration::ZERO;
    assert_eq!(refused(&server, "panic"), 4100, "a panic");
    connect(&server, "new");
    assert_eq!(publish(&server, "new").status, 200);
}

#[test]
fn what_is_of_no_use_is_not_served() {
    let (server, shelf) = start(|finder| finder);
    assert_eq!(refused(&server, "bad"), 4001);
    assert!(server.apps().is_empty(), "another app than the one that was asked for");
    // An app with the key of another changes nothing.
    server.put_app(App::new("first", "new-key", "s")).unwrap();
    shelf.put("new");
    assert_eq!(publish(&server, "new").status, 404);
    assert_eq!(&*server.apps().by_key("new-key").unwrap().id, "first");
}

#[test]
fn what_was_withdrawn_is_looked_up_again() {
    let (server, shelf) = start(|finder| finder);
    shelf.put("new");
    connect(&server, "new").subscribe("a");
    assert!(server.remove_app("new-id"));
    connect(&server, "new");
    assert_eq!(shelf.asked(), 2);
    server.publish("new-id", Event::new("a", "e", "{}")).unwrap();
}

#[test]
fn the_server_ends_while_somebody_waits() {
    let (server, shelf) = start(|finder| finder.patience(Duration::from_secs(60)));
    *shelf.delay.lock().unwrap() = Duration::from_secs(60);
    let _waiting = ask(&server, "new");
    eventually("the question", || shelf.asked() == 1);
    let began = Instant::now();
    block_on(server.shutdown());
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
