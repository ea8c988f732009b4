//! `tidings publish`.

use std::io::Read as _;
use std::process::ExitCode;

use super::target::{ENVIRONMENT, TargetArgs};
use super::{EXIT_USAGE, fail, runtime};
use crate::publisher::{Event, PublishError, Publisher, socket_id};

const ABOUT: &str = "\
Publish an event to the subscribers of a channel

The payload reaches the subscribers as it is, usually JSON text. Nothing is printed when the event was
published.

Exit codes: 0 published; 1 not published, or not known whether; 2 wrong arguments.";

/// The arguments of `publish`.
#[derive(Debug, clap::Args)]
#[command(about = "Publish an event", long_about = ABOUT, after_long_help = ENVIRONMENT)]
pub(super) struct Args {
    /// Name of the channel
    channel: String,
    /// Name of the event
    event: String,
    /// Payload; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    data: String,
    /// Further channel that the event goes to
    #[arg(long, value_name = "CHANNEL")]
    also_to: Vec<String>,
    /// Socket id of a connection to leave out
    #[arg(long, value_name = "SOCKET_ID")]
    except: Option<String>,
    /// Print how many subscriptions the channels have, as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Publishes one event.
pub(super) fn run(args: Args) -> ExitCode {
    let json = args.json;
    let (publisher, event) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    match runtime.block_on(publisher.trigger(&event)) {
        Ok(channels) => {
            if json {
                let count = |(name, info): (_, crate::publisher::ChannelInfo)| {
                    (name, serde_json::json!({"subscription_count": info.subscription_count}))
                };
                let channels: serde_json::Map<_, _> = channels.into_iter().map(count).collect();
                super::print(&serde_json::json!({"channels": channels}).to_string())
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error @ PublishError::Invalid(_)) => fail(EXIT_USAGE, &error),
        Err(error) => fail(1, &error),
    }
}

fn prepare(args: Args) -> Result<(Publisher, Event), String> {
    let publisher = args.target.resolved()?.publisher()?;
    let mut data = args.data;
    if data == "-" {
        data.clear();
        let read = std::io::stdin().read_to_string(&mut data);
        read.map_err(|error| format!("standard input: {error}"))?;
    }
    let mut event = Event::new(args.channel, args.event, data);
    for channel in args.also_to {
        event = event.also_to(channel);
    }
    if let Some(id) = args.except {
        event = event.except(socket_id(&id).map_err(|error| error.to_string())?);
    }
    Ok((publisher, if args.json { event.subscription_count() } else { event }))
}
