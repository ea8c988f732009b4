use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

fn run(line: &str) -> Result<String, BenchError> {
    let cli = Cli::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()));
    cli.expect(line).bench.run()
}

/// A port of loopback on which nobody listens.
fn unused_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn runs_without_bounds_are_refused_before_anything_is_opened() {
    for (line, option) in [
        ("idle --conns 0", "--conns"),
        ("idle --conns 200001", "--conns"),
        ("idle --conns 1 --secs 601", "--secs"),
        ("idle --conns 1 --secs nan", "--secs"),
        ("idle --conns 1 --channels-per-conn 101", "--channels-per-conn"),
        ("fanout --subs 0", "--subs"),
        ("fanout --secs 0", "--secs"),
        ("fanout --rate inf", "--rate"),
        ("fanout --rate 0", "--rate"),
        ("fanout --size 47", "--size"),
        ("fanout --size 65537", "--size"),
        ("fanout --http-conns 0", "--http-conns"),
        ("publish --conns 0", "--conns"),
        ("many --channels 1000 --subs-per-channel 1000", "--subs-per-channel"),
        ("churn --rate=-1", "--rate"),
        ("churn --inflight 0", "--inflight"),
        ("saturate --from 1 --subs 1000", "--from"),
        ("saturate --p99-ms 0", "--p99-ms"),
        ("slow --receive-buffer 1", "--receive-buffer"),
        ("ready --secs 0", "--secs"),
    ] {
        let error = run(line).unwrap_err();
        assert!(matches!(error, BenchError::Arguments(_)), "{line}: {error:?}");
        assert!(error.to_string().contains(option), "{line}: {error}");
    }
}

#[test]
fn another_machine_is_refused() {
    for scenario in ["idle", "fanout", "publish", "saturate", "many", "churn", "slow", "ready"] {
        let error = run(&format!("{scenario} --host 192.0.2.1")).unwrap_err().to_string();
        assert!(error.contains("--i-own-this-server"), "{scenario}: {error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_command_that_starts_one() {
    let port = unused_port();
    for scenario in ["idle --conns 1", "fanout --subs 1", "publish", "churn"] {
        let error = run(&format!("{scenario} --port {port}")).unwrap_err().to_string();
        assert!(error.contains(&format!("nothing listens on 127.0.0.1:{port}")), "{error}");
        assert!(error.contains("tidings serve"), "{error}");
    }
}

#[test]
fn waiting_for_a_server_ends() {
    let port = unused_port();
    let error = run(&format!("ready --secs 0.1 --port {port}")).unwrap_err().to_string();
    assert!(error.contains("within 0.1 s"), "{error}");
}

#[test]
fn a_file_that_is_no_result_is_named() {
    let error = run("report Cargo.toml").unwrap_err().to_string();
    assert!(error.starts_with("Cargo.toml: not a result"), "{error}");
    assert!(run("report no-such-file").unwrap_err().to_string().starts_with("no-such-file: "));
}
