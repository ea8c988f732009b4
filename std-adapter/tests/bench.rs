//! `tidings bench` against the real server: tiny runs, whose counts must be right whatever the time.

#![cfg(target_os = "linux")]

mod support;

use std::process::{Command, Output};

use serde_json::Value;
use support::{address, builder};
use tidings::ServerHandle;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings")).arg("bench").args(arguments).output().unwrap()
}

/// The one JSON object that a run against `server` prints.
fn measure(server: &ServerHandle, arguments: &[&str]) -> Value {
    let port = address(server).port().to_string();
    let output = bench(&[arguments, &["--port", &port, "--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(result: &Value, name: &str) -> f64 {
    let value = result.get(name).or_else(|| result["metrics"].get(name)).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no {name} in {result}"))
}

#[test]
fn a_fan_out_loses_and_reorders_nothing() {
    let server = builder().development_app().start().unwrap();
    let arguments = ["fanout", "--subs", "20", "--rate", "100", "--secs", "1", "--size", "128"];
    let result = measure(&server, &arguments);
    assert_eq!((figure(&result, "lost"), figure(&result, "reordered")), (0.0, 0.0), "{result}");
    assert!(figure(&result, "published") > 0.0, "{result}");
}

#[test]
fn the_other_scenarios_run_to_their_end() {
    let server = builder().development_app().start().unwrap();
    let idle = measure(&server, &["idle", "--conns", "50", "--secs", "1"]);
    assert!(figure(&idle, "connects_per_s") > 0.0, "{idle}");
    let publish = measure(&server, &["publish", "--conns", "2", "--secs", "1"]);
    assert_eq!(figure(&publish, "subs0_failed"), 0.0, "{publish}");
    let many =
        ["many", "--channels", "5", "--subs-per-channel", "2", "--rate", "50", "--secs", "1"];
    let many = measure(&server, &many);
    assert_eq!((figure(&many, "lost"), figure(&many, "reordered")), (0.0, 0.0), "{many}");
    let churn = measure(&server, &["churn", "--inflight", "4", "--secs", "1"]);
    assert_eq!(figure(&churn, "broken"), 0.0, "{churn}");
    measure(&server, &["ready"]);
}

#[test]
fn what_must_not_run_says_why_and_what_to_do() {
    let refused = |arguments: &[&str]| {
        let output = bench(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let elsewhere = refused(&["idle", "--host", "192.0.2.1"]);
    assert!(elsewhere.contains("--i-own-this-server"), "{elsewhere}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let nobody = refused(&["idle", "--conns", "1", "--secs", "1", "--port", &port]);
    assert!(nobody.contains("tidings serve"), "{nobody}");
    let server = builder().development_app().start().unwrap();
    let port = address(&server).port().to_string();
    let wrong = ["publish", "--conns", "1", "--secs", "1", "--port", &port, "--secret", "wrong"];
    let wrong = refused(&wrong);
    assert!(wrong.contains("auth_signature"), "{wrong}");
}
