//! One run's figures, as a table for people or a JSON object for programs.

use std::fmt::Write as _;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::process::{self, Taken};
use super::stats::Times;

/// A figure: its name in JSON, its name for people, its unit, and its decimals in the table.
struct Figure(&'static str, &'static str, &'static str);

/// Every figure that a scenario can have.
const FIGURES: &[Figure] = &[
    Figure("start_ms", "start", "ms"),
    Figure("connects_per_s", "connections opened", "/s"),
    Figure("connect_p50_ms", "connect p50", "ms"),
    Figure("connect_p99_ms", "connect p99", "ms"),
    Figure("cpu_us_per_connect", "server CPU a connect", "us"),
    Figure("rss_before_mb", "server memory before", "MB"),
    Figure("rss_kb_per_conn", "server memory a connection", "KB"),
    Figure("closed_while_idle", "closed while idle", ""),
    Figure("idle_cpu_pct", "server CPU while idle", "%"),
    Figure("cycles_per_s", "cycles", "/s"),
    Figure("ready_p50_ms", "connect and subscribe p50", "ms"),
    Figure("ready_p99_ms", "connect and subscribe p99", "ms"),
    Figure("cpu_us_per_cycle", "server CPU a cycle", "us"),
    Figure("broken", "connections broken", ""),
    Figure("unfinished", "connections unfinished", ""),
    Figure("deliveries_per_s", "deliveries sustained", "/s"),
    Figure("publishes_per_s", "publishes sustained", "/s"),
    Figure("delivered_per_s", "delivered", "/s"),
    Figure("p50_ms", "latency p50", "ms"),
    Figure("p90_ms", "latency p90", "ms"),
    Figure("p99_ms", "latency p99", "ms"),
    Figure("p999_ms", "latency p99.9", "ms"),
    Figure("without_p50_ms", "latency p50, no slow one", "ms"),
    Figure("without_p99_ms", "latency p99, no slow one", "ms"),
    Figure("p50_ratio", "p50 with to without", ""),
    Figure("p99_ratio", "p99 with to without", ""),
    Figure("lost", "lost", ""),
    Figure("repeated", "repeated", ""),
    Figure("reordered", "reordered", ""),
    Figure("cpu_us_per_delivery", "server CPU a delivery", "us"),
    Figure("wire_bytes_per_delivery", "frame", "bytes"),
    Figure("slow_messages", "slow one: messages it read", ""),
    Figure("slow_close_code", "slow one: close code", ""),
    Figure("slow_told", "slow one: was told", ""),
    Figure("slow_rss_growth_mb", "server memory it took", "MB"),
    Figure("published", "published", ""),
    Figure("rejected", "publishes rejected", ""),
    Figure("subs0_requests_per_s", "requests, no subscriber", "/s"),
    Figure("subs0_p50_ms", "request p50, no subscriber", "ms"),
    Figure("subs0_p99_ms", "request p99, no subscriber", "ms"),
    Figure("subs0_cpu_us_per_request", "server CPU, no subscriber", "us"),
    Figure("subs0_failed", "failed, no subscriber", ""),
    Figure("subs0_http_reconnects", "reconnects, no subscriber", ""),
    Figure("subs1_requests_per_s", "requests, one subscriber", "/s"),
    Figure("subs1_p50_ms", "request p50, one subscriber", "ms"),
    Figure("subs1_p99_ms", "request p99, one subscriber", "ms"),
    Figure("subs1_cpu_us_per_request", "server CPU, one subscriber", "us"),
    Figure("subs1_failed", "failed, one subscriber", ""),
    Figure("subs1_http_reconnects", "reconnects, one subscriber", ""),
    Figure("http_reconnects", "publisher reconnects", ""),
    Figure("request_p99_ms", "publish request p99", "ms"),
    Figure("subscribers_left", "subscribers left", ""),
    Figure("server_user_s", "server CPU, own code", "s"),
    Figure("server_sys_s", "server CPU, kernel", "s"),
    Figure("server_cpu_pct", "server CPU", "%"),
    Figure("rss_mb", "server memory", "MB"),
    Figure("threads", "server threads", ""),
    Figure("generator_late_p99_ms", "generator late p99", "ms"),
    Figure("generator_cpu_pct", "generator CPU", "%"),
    Figure("others_cpu_pct", "other processes' CPU", "%"),
    Figure("protocol_errors", "protocol errors", ""),
];

/// The name for people and the unit of the figure that JSON calls `name`.
pub(crate) fn describe(name: &str) -> (&str, &'static str) {
    FIGURES.iter().find(|figure| figure.0 == name).map_or((name, ""), |figure| (figure.1, figure.2))
}

/// Figures by name, in the order they were taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(Vec<(String, Value)>);

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Map::deserialize(deserializer)?.into_iter().collect()))
    }
}

/// The outcome of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The server's name, as the user gave it.
    pub(crate) label: String,
    /// The scenario with its parameters; runs with the same case can be compared.
    pub(crate) case: String,
    /// The round of a comparison; ratios are taken within a round.
    #[serde(default)]
    pub(crate) round: u32,
    /// What was measured.
    metrics: Figures,
    /// The load average when the run began.
    #[serde(default)]
    load1: Option<f64>,
    /// The first few complaints of the server, in its own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<String>,
}

impl Record {
    /// No figures yet.
    pub(crate) fn new(label: &str, round: u32, case: String) -> Self {
        Self {
            label: label.to_owned(),
            case,
            round,
            metrics: Figures::default(),
            load1: process::load_average(),
            errors: Vec::new(),
        }
    }

    /// Adds a figure, rounded to four significant digits: more than these measurements have.
    pub(crate) fn put(&mut self, name: &str, value: f64) {
        let digits = if value == 0.0 { 0 } else { 3 - value.abs().log10().floor() as i32 };
        let scale = 10_f64.powi(digits.clamp(0, 9));
        self.metrics.0.push((name.to_owned(), ((value * scale).round() / scale).into()));
    }

    /// Adds a count, exactly.
    pub(crate) fn put_count(&mut self, name: &str, count: impl Into<Value>) {
        self.metrics.0.push((name.to_owned(), count.into()));
    }

    /// Adds all figures and complaints of `other`.
    pub(crate) fn append(&mut self, other: Self) {
        self.metrics.0.extend(other.metrics.0);
        self.errors.extend(other.errors);
    }

    /// Adds the usual quantiles of `times`, their names behind `prefix`.
    pub(crate) fn put_times(&mut self, prefix: &str, times: &Times) {
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            self.put(&format!("{prefix}{name}_ms"), times.millis(quantile));
        }
    }

    /// Adds who used how much CPU.
    pub(crate) fn put_taken(&mut self, taken: &Taken) {
        if let Some(server) = &taken.server {
            self.put("server_user_s", server.user_s);
            self.put("server_sys_s", server.system_s);
            self.put("server_cpu_pct", server.pct);
            self.put("rss_mb", server.rss_kb as f64 / 1024.0);
        }
        self.put("generator_cpu_pct", taken.own_pct);
        self.put("others_cpu_pct", taken.others_pct);
    }

    /// The figure with this name, when it is a number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.metrics.0.iter().find(|(key, _)| key == name)?.1.as_f64()
    }

    /// The names of all figures.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.0.iter().map(|(name, _)| name.as_str())
    }

    /// The figures as aligned lines: name, number, unit.
    pub(crate) fn table(&self) -> String {
        let cells: Vec<(&str, String, &str)> = self
            .metrics
            .0
            .iter()
            .map(|(name, value)| {
                let (name, unit) = describe(name);
                let value =
                    value.as_str().map_or_else(|| grouped(&value.to_string()), str::to_owned);
                (name, value, unit)
            })
            .collect();
        let width =
            |of: fn(&(&str, String, &str)) -> usize| cells.iter().map(of).max().unwrap_or(0);
        // Words, unlike numbers, may run over.
        let name_width = width(|cell| cell.0.len());
        let value_width = width(|cell| if cell.1.len() > 16 { 0 } else { cell.1.len() });
        let mut out = format!("{}: {}\n\n", self.label, self.case);
        for (name, value, unit) in &cells {
            let line = format!("  {name:<name_width$}  {value:>value_width$} {unit}");
            out.push_str(line.trim_end());
            out.push('\n');
        }
        for error in &self.errors {
            let _ = writeln!(out, "\n  the server said: {error}");
        }
        out
    }
}

/// A number in JSON notation, with commas between thousands.
pub(crate) fn grouped(number: &str) -> String {
    let (whole, rest) = match number.split_once('.') {
        Some((whole, "0")) => (whole, String::new()),
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (number, String::new()),
    };
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::new("mine", 2, "fanout subs=2".to_owned());
        record.put("p50_ms", 0.012_345_6);
        record.put("delivered_per_s", 123_456.7);
        record.put_count("lost", 0);
        record.put_count("slow_told", "close 4100, \"too slow\"");
        record
    }

    #[test]
    fn four_significant_digits_are_kept_and_counts_are_exact() {
        let mut record = record();
        assert_eq!(record.number("p50_ms"), Some(0.01235));
        assert_eq!(record.number("delivered_per_s"), Some(123_457.0));
        record.put_count("published", 123_456_789_u64);
        assert_eq!(record.number("published"), Some(123_456_789.0));
    }

    #[test]
    fn json_is_one_object_and_comes_back() {
        let mut record = record();
        record.errors.push("no".to_owned());
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains('\n'));
        let back: Record = serde_json::from_str(&text).unwrap();
        assert_eq!((back.label.as_str(), back.round, back.errors), ("mine", 2, record.errors));
        assert_eq!(back.metrics.0.len(), 4);
    }

    #[test]
    fn the_table_is_aligned_and_names_units() {
        let table = record().table();
        assert!(table.starts_with("mine: fanout subs=2\n\n"), "{table}");
        assert!(table.contains("\n  latency p50         0.01235 ms\n"), "{table}");
        assert!(table.contains("\n  delivered           123,457 /s\n"), "{table}");
        assert!(table.contains("\n  lost                      0\n"), "{table}");
    }

    #[test]
    fn thousands_are_grouped() {
        for (plain, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.25", "-1,234,567.25"),
            ("12.0", "12"),
        ] {
            assert_eq!(grouped(plain), expected);
        }
    }
}
