//! Medians of many runs, and their ratios to a ceiling.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::error::BenchError;
use super::report::{Record, describe, grouped};

/// Figures that the table has without `--all`: those that servers are compared by.
const TELLING: &[&str] = &[
    "start_ms",
    "connects_per_s",
    "rss_kb_per_conn",
    "deliveries_per_s",
    "p50_ms",
    "p99_ms",
    "p50_ratio",
    "lost",
    "reordered",
    "slow_close_code",
    "slow_rss_growth_mb",
    "cpu_us_per_delivery",
    "subs0_requests_per_s",
    "subs1_requests_per_s",
    "cycles_per_s",
    "rss_mb",
    "generator_cpu_pct",
];

/// Medians of many `--json` results.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Files of results, one a line
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Server whose figures are 1.00x
    #[arg(long)]
    ceiling: Option<String>,
    /// Leave out runs during which other processes took more than this share of a core, in percent
    #[arg(long, default_value_t = 15.0)]
    max_others: f64,
    /// Every figure, not only those that servers are compared by
    #[arg(long)]
    all: bool,
}

impl ReportArgs {
    /// The table.
    ///
    /// # Errors
    /// A file that cannot be read, and a line that is no result.
    pub(super) fn run(&self) -> Result<String, BenchError> {
        let mut records = Vec::new();
        for file in &self.files {
            let wrong = |why: String| BenchError::Arguments(format!("{}: {why}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let record = serde_json::from_str(line);
                records.push(record.map_err(|error| wrong(format!("not a result: {error}")))?);
            }
        }
        Ok(self.table(&records))
    }

    fn is_noisy(&self, record: &Record) -> bool {
        record.number("others_cpu_pct").is_some_and(|share| share > self.max_others)
    }

    fn table(&self, records: &[Record]) -> String {
        let (noisy, quiet): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| self.is_noisy(record));
        let labels = in_order(quiet.iter().map(|record| record.label.as_str()));
        let mut out = format!("| scenario | figure | {} |\n", labels.join(" | "));
        let _ = writeln!(out, "|---|---|{}", "---|".repeat(labels.len()));
        for case in in_order(quiet.iter().map(|record| record.case.as_str())) {
            let runs: Vec<&Record> =
                quiet.iter().filter(|record| record.case == case).copied().collect();
            let names = in_order(runs.iter().flat_map(|record| record.names()));
            for name in names.into_iter().filter(|name| self.all || TELLING.contains(name)) {
                let (figure, unit) = describe(name);
                let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
                let _ = write!(out, "| {case} | {figure}{unit} |");
                for label in &labels {
                    let _ = write!(out, " {} |", self.cell(&runs, label, name));
                }
                out.push('\n');
            }
        }
        if !noisy.is_empty() {
            let _ = writeln!(out, "\n{} run(s) left out: the machine was busy.", noisy.len());
        }
        out
    }

    fn cell(&self, runs: &[&Record], label: &str, name: &str) -> String {
        let mine = Values::of(runs, label, name);
        let Some(median) = mine.median() else { return "–".to_owned() };
        let ceiling = self.ceiling.as_deref().filter(|ceiling| *ceiling != label);
        let ratio = ceiling.and_then(|ceiling| mine.ratio_to(&Values::of(runs, ceiling, name)));
        match ratio {
            Some(ratio) => format!("{} ({ratio:.2}x)", short(median)),
            None => short(median),
        }
    }
}

/// Each once, in the order of their first appearance.
fn in_order<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// One figure of one server, by round.
#[derive(Debug, Default)]
struct Values(BTreeMap<u32, Vec<f64>>);

impl Values {
    fn of(runs: &[&Record], label: &str, name: &str) -> Self {
        let mut values = Self::default();
        for record in runs.iter().filter(|record| record.label == label) {
            if let Some(value) = record.number(name) {
                values.0.entry(record.round).or_default().push(value);
            }
        }
        values
    }

    fn median(&self) -> Option<f64> {
        median(self.0.values().flatten().copied())
    }

    /// The median of the ratios within each round that both took part in, so that a machine that was slow
    /// for a whole round cancels out; without such a round, the ratio of the medians.
    fn ratio_to(&self, base: &Self) -> Option<f64> {
        let within = self.0.iter().filter_map(|(round, mine)| {
            let base = median(base.0.get(round)?.iter().copied())?;
            Some(median(mine.iter().copied())? / base)
        });
        let ratio = median(within).or_else(|| Some(self.median()? / base.median()?))?;
        ratio.is_finite().then_some(ratio)
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// As many digits as a table needs.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => grouped(&format!("{value:.0}")),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(label: &str, round: u32, figure: f64, others: f64) -> Record {
        let mut record = Record::new(label, round, "fanout subs=2".to_owned());
        record.put("p50_ms", figure);
        record.put("p90_ms", figure);
        record.put("others_cpu_pct", others);
        record
    }

    fn table(records: &[Record], all: bool) -> String {
        let ceiling = Some("rawfan".to_owned());
        ReportArgs { files: Vec::new(), ceiling, max_others: 15.0, all }.table(records)
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Round 2 was slow for both, and round 3 had no ceiling.
        let records = [
            run("rawfan", 1, 2.0, 0.0),
            run("mine", 1, 4.0, 0.0),
            run("rawfan", 2, 20.0, 0.0),
            run("mine", 2, 40.0, 0.0),
            run("mine", 3, 4.0, 0.0),
        ];
        let expected = "| scenario | figure | rawfan | mine |\n|---|---|---|---|\n\
            | fanout subs=2 | latency p50, ms | 11 | 4 (2.00x) |\n";
        assert_eq!(table(&records, false), expected);
    }

    #[test]
    fn without_a_common_round_the_medians_are_compared() {
        let records = [run("rawfan", 1, 2.0, 0.0), run("mine", 2, 5.0, 0.0)];
        assert!(table(&records, false).contains("| 5 (2.50x) |"));
    }

    #[test]
    fn a_ceiling_of_zero_gives_no_ratio() {
        let records = [run("rawfan", 1, 0.0, 0.0), run("mine", 1, 5.0, 0.0)];
        assert!(table(&records, false).contains("| 0 | 5 |"));
    }

    #[test]
    fn runs_on_a_busy_machine_are_left_out_and_counted() {
        let records = [run("mine", 1, 2.0, 0.0), run("mine", 2, 99.0, 80.0)];
        let table = table(&records, false);
        assert!(table.contains("| latency p50, ms | 2 |"), "{table}");
        assert!(table.contains("1 run(s) left out"), "{table}");
    }

    #[test]
    fn all_figures_are_there_when_asked_for() {
        let records = [run("mine", 1, 2.0, 0.0)];
        assert!(!table(&records, false).contains("p90"));
        assert!(table(&records, true).contains("latency p90, ms"));
    }

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
