//! `tidings subscribe`.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::target::{ENVIRONMENT, TargetArgs};
use super::{EXIT_USAGE, fail, runtime};
use crate::client::{
    Authorizer, Client, ClientBuilder, Endpoint, Event, Identity, Message, Position, Serial, State,
    Subscription,
};

const EXIT_REFUSED: u8 = 3;

const ABOUT: &str = "\
Print the events of channels, one a line

A line is the channel, the event's name and its payload, apart by spaces; control characters in them
are escaped. What happens to the connection goes to standard error. With --json every line is an object:
its `type` is message, subscribed, resumed, interrupted, rejected, member_added, member_removed, count,
cache_miss, sealed or missed.

The connection is kept up for ever: a server that is away is waited for. Private and presence channels
need the app's secret, or an endpoint of the application that signs.

Exit codes: 0 ended by a signal, by --count, or because nobody reads any more; 1 the server sends the
client away for good; 2 wrong arguments; 3 every channel was refused.";

/// The arguments of `subscribe`.
#[derive(Debug, clap::Args)]
#[command(about = "Print the events of channels", long_about = ABOUT, after_long_help = ENVIRONMENT)]
pub(super) struct Args {
    /// Names of channels
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Print each line as a JSON object
    #[arg(long)]
    json: bool,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Ask for what was missed while the connection was away, and at the start for what came after this serial, as a
    /// message's `serial` in --json tells it; without a serial for nothing yet. For a server with history
    #[arg(long, value_name = "SERIAL", num_args = 0..=1, require_equals = true, default_missing_value = "latest", value_parser = position)]
    resume: Option<Position>,
    /// Who to be on presence channels [default: a random id]
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
    /// What others may know of the user: a JSON object
    #[arg(long, value_name = "JSON")]
    user_info: Option<String>,
    /// URL of the endpoint that signs, in place of the secret
    #[arg(long, value_name = "URL")]
    auth_endpoint: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

fn position(text: &str) -> Result<Position, String> {
    match (text, Serial::parse(text)) {
        ("latest", _) => Ok(Position::Latest),
        (_, Some(serial)) => Ok(Position::After(serial)),
        (_, None) => Err("it is `latest` or a serial such as 0a1b2c3d-7".into()),
    }
}

/// What to print, and how.
struct Plan {
    channels: Vec<String>,
    resume: Option<Position>,
    output: Output,
}

/// Prints events until something ends it.
pub(super) fn run(args: Args) -> ExitCode {
    match prepare(args) {
        Ok((builder, plan)) => match runtime() {
            Ok(runtime) => runtime.block_on(listen(builder, plan)),
            Err(error) => fail(1, &error),
        },
        Err(error) => fail(EXIT_USAGE, &error),
    }
}

fn prepare(args: Args) -> Result<(ClientBuilder, Plan), String> {
    let target = args.target.resolved()?;
    let mut builder = target.client();
    if let Some(url) = args.auth_endpoint {
        let authorizer = Endpoint::new(url).build().map_err(|error| error.to_string())?;
        builder = builder.authorizer(authorizer);
    } else if let Some(secret) = target.secret() {
        let user_id = match args.user_id {
            Some(id) => id,
            None => format!("tidings-{:08x}", getrandom::u32().map_err(|e| e.to_string())?),
        };
        let mut identity = Identity::new(user_id);
        if let Some(text) = args.user_info {
            let info: Value =
                serde_json::from_str(&text).ok().filter(Value::is_object).ok_or_else(|| {
                    format!(
                        "--user-info is {text}: it is a JSON object such as {{\"name\":\"Ann\"}}"
                    )
                })?;
            identity = identity.info(info);
        }
        let authorizer = Authorizer::secret(target.key.clone(), secret).identity(identity);
        builder = builder.authorizer(authorizer);
    }
    let mut names = HashSet::new();
    let mut channels = args.channels;
    channels.retain(|channel| names.insert(channel.clone()));
    let output = Output { json: args.json, left: args.count };
    Ok((builder, Plan { channels, resume: args.resume, output }))
}

/// What one of the tasks has seen.
enum Seen {
    Event(String, Event),
    State(State),
}

async fn listen(builder: ClientBuilder, plan: Plan) -> ExitCode {
    let Plan { channels, resume, mut output } = plan;
    let client = match builder.start() {
        Ok(client) => client,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let mut subscriptions = Vec::with_capacity(channels.len());
    for channel in &channels {
        let subscribed = match resume {
            Some(from) => client.subscribe_from(channel, from),
            None => client.subscribe(channel),
        };
        match subscribed {
            Ok(subscription) => subscriptions.push(subscription),
            Err(error) => return fail(EXIT_USAGE, &error),
        }
    }
    let mut seen = collect(&client, subscriptions);
    let code = tokio::select! {
        code = print(&mut seen, channels.len(), &mut output) => code,
        () = ended_by_signal() => ExitCode::SUCCESS,
    };
    client.close().await;
    code
}

/// Gathers what all subscriptions hear in one queue, which is short: what is not printed yet waits in the
/// subscriptions, whose queues tell a gap.
fn collect(client: &Client, subscriptions: Vec<Subscription>) -> mpsc::Receiver<Seen> {
    let (sender, receiver) = mpsc::channel(1);
    for mut subscription in subscriptions {
        let sender = sender.clone();
        tokio::spawn(async move {
            let name = subscription.name().to_owned();
            while let Some(event) = subscription.next().await {
                if sender.send(Seen::Event(name.clone(), event)).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut states = client.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            if sender.send(Seen::State(state)).await.is_err() {
                return;
            }
        }
    });
    receiver
}

async fn print(seen: &mut mpsc::Receiver<Seen>, channels: usize, output: &mut Output) -> ExitCode {
    let mut refused = HashSet::new();
    while let Some(seen) = seen.recv().await {
        let written = match &seen {
            Seen::Event(channel, event) => output.event(channel, event),
            Seen::State(State::Stopped { error: Some(error) }) => return fail(1, error),
            Seen::State(state) => {
                tell(state);
                continue;
            }
        };
        match written {
            Ok(Go::On) => {}
            Ok(Go::Home) => return ExitCode::SUCCESS,
            // Nobody reads any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Err(error) => return fail(1, &error),
        }
        if let Seen::Event(channel, event) = seen {
            match event {
                Event::Rejected(rejection) if !rejection.again => refused.insert(channel),
                Event::Subscribed => refused.remove(&channel),
                _ => false,
            };
        }
        if refused.len() == channels {
            return ExitCode::from(EXIT_REFUSED);
        }
    }
    ExitCode::SUCCESS
}

/// What happens to the connection is for people.
fn tell(state: &State) {
    match state {
        State::Online { socket_id } => eprintln!("tidings: connected as {socket_id}"),
        State::Waiting { error, delay } => {
            eprintln!("tidings: {error}; next attempt in {:.1} s", delay.as_secs_f32());
        }
        _ => {}
    }
}

async fn ended_by_signal() {
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => return eprintln!("tidings: {error}"),
        };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Whether to print more.
enum Go {
    On,
    Home,
}

/// Lines on standard output.
struct Output {
    json: bool,
    /// How many messages are still to be printed.
    left: Option<u64>,
}

impl Output {
    fn event(&mut self, channel: &str, event: &Event) -> io::Result<Go> {
        if self.left == Some(0) {
            return Ok(Go::Home);
        }
        match line(channel, event, self.json) {
            Line::Out(text) => {
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{text}")?;
                stdout.flush()?;
            }
            Line::Told(text) => eprintln!("tidings: {text}"),
        }
        if let (Event::Message(_), Some(left)) = (event, &mut self.left) {
            *left -= 1;
            if *left == 0 {
                return Ok(Go::Home);
            }
        }
        Ok(Go::On)
    }
}

/// A line, and where it goes.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Out(String),
    Told(String),
}

fn line(channel: &str, event: &Event, json: bool) -> Line {
    if json {
        return Line::Out(object(channel, event).to_string());
    }
    match event {
        Event::Message(Message { event, data, .. }) => {
            let data = data.as_deref().unwrap_or_default();
            Line::Out(plain(&format!("{channel} {event} {data}")))
        }
        Event::Subscribed => Line::Told(format!("subscribed to {channel}")),
        Event::Interrupted => Line::Told(format!("no longer subscribed to {channel}")),
        Event::Rejected(rejection) => {
            Line::Told(plain(&format!("{channel} is refused: {rejection}")))
        }
        Event::MemberAdded(member) => {
            Line::Told(plain(&format!("{} joined {channel}", member.user_id)))
        }
        Event::MemberRemoved { user_id } => Line::Told(plain(&format!("{user_id} left {channel}"))),
        Event::Count(count) => Line::Told(format!("{channel} has {count} subscriptions")),
        Event::CacheMiss => Line::Told(format!("{channel} has no event to show")),
        Event::Sealed { event } => {
            Line::Told(plain(&format!("{channel} {event} cannot be opened")))
        }
        Event::Missed { count } => Line::Told(format!("{count} events of {channel} were dropped")),
        Event::Resumed { complete: true, events } => {
            Line::Told(format!("{channel} resumes with {events} events that were missed"))
        }
        Event::Resumed { complete: false, events } => Line::Told(format!(
            "{channel} resumes with a gap: of what was missed the server has {events} events"
        )),
    }
}

/// Without what would end the line or command a terminal.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

fn object(channel: &str, event: &Event) -> Value {
    match event {
        Event::Message(Message { event, data, user_id, serial }) => json!({
            "type": "message", "channel": channel, "event": event, "data": data, "user_id": user_id,
            "serial": serial.map(|serial| serial.to_string()),
        }),
        Event::Subscribed => json!({"type": "subscribed", "channel": channel}),
        Event::Interrupted => json!({"type": "interrupted", "channel": channel}),
        Event::Rejected(rejection) => json!({
            "type": "rejected", "channel": channel, "message": rejection.message,
            "status": rejection.status, "again": rejection.again,
        }),
        Event::MemberAdded(member) => {
            let info = member.user_info.as_deref().map(serde_json::from_str::<Value>);
            let info = info.and_then(Result::ok);
            json!({
                "type": "member_added", "channel": channel,
                "user_id": member.user_id, "user_info": info,
            })
        }
        Event::MemberRemoved { user_id } => {
            json!({"type": "member_removed", "channel": channel, "user_id": user_id})
        }
        Event::Count(count) => json!({"type": "count", "channel": channel, "count": count}),
        Event::CacheMiss => json!({"type": "cache_miss", "channel": channel}),
        Event::Sealed { event } => json!({"type": "sealed", "channel": channel, "event": event}),
        Event::Resumed { complete, events } => json!({
            "type": "resumed", "channel": channel, "complete": complete, "events": events,
        }),
        Event::Missed { count } => json!({"type": "missed", "channel": channel, "count": count}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(data: &str) -> Event {
        let (event, data) = ("new".into(), Some(data.into()));
        Event::Message(Message { event, data, user_id: None, serial: None })
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let text = Line::Out(r"c new a\nb\u{1b}[2J ä".into());
        assert_eq!(line("c", &message("a\nb\u{1b}[2J ä"), false), text);
        let Line::Out(text) = line("c", &message("a\nb"), true) else { panic!("it is printed") };
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.lines().count(), &object["data"]), (1, &json!("a\nb")));
    }

    #[test]
    fn what_is_no_message_is_told_apart_unless_lines_are_objects() {
        assert_eq!(line("c", &Event::Subscribed, false), Line::Told("subscribed to c".into()));
        let text = r#"{"channel":"c","type":"subscribed"}"#;
        assert_eq!(line("c", &Event::Subscribed, true), Line::Out(text.into()));
    }
}
