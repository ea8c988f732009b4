//! Metrics as text: Prometheus' own format, and the JSON that Soketi answers `?json=1` with.

use super::family::Families;
use super::names::Scrape;
use super::process;
use crate::server::http::put_escaped;
use crate::server::hub::Hub;
use prometheus::TextEncoder;
use prometheus::proto::{Metric, MetricFamily, MetricType};

/// The value of `Content-Type` for [`text`].
pub(crate) const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// Looks at everything there is to measure.
async fn families(hub: &Hub) -> Vec<MetricFamily> {
    let measured = hub.measure().await;
    let scrape = Scrape { hub, measured: &measured };
    let config = hub.config();
    let mut all = scrape.all(&config.metrics_prefix);
    if let Some(prefix) = &config.metrics_soketi_prefix
        && *prefix != config.metrics_prefix
    {
        all.extend(scrape.soketi(prefix));
    }
    let mut process = Families::new("");
    process::families(&mut process);
    all.extend(process.into_inner());
    all
}

/// All metrics in Prometheus' text format, version 0.0.4.
pub(crate) async fn text(hub: &Hub) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&families(hub).await, &mut text) {
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

/// All metrics as prom-client, which Soketi uses, writes them in JSON.
pub(crate) async fn json(hub: &Hub) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, family) in families(hub).await.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_family(&mut out, family);
    }
    out.push(b']');
    out
}

fn put_family(out: &mut Vec<u8>, family: &MetricFamily) {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    };
    for (key, value) in [("{\"help", family.help()), (",\"name", family.name()), (",\"type", kind)]
    {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":\"");
        put_escaped(out, value);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"values\":[");
    let start = out.len();
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::COUNTER => {
                put_value(out, metric, None, "", metric.get_counter().get_value());
            }
            MetricType::HISTOGRAM => put_histogram(out, family.name(), metric),
            _ => put_value(out, metric, None, "", metric.get_gauge().get_value()),
        }
    }
    if out.len() > start {
        out.remove(start); // the comma before the first
    }
    out.extend_from_slice(b"],\"aggregator\":\"sum\"}");
}

fn put_histogram(out: &mut Vec<u8>, name: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let bucket = format!("{name}_bucket");
    for counted in histogram.get_bucket() {
        let bound = counted.upper_bound().to_string();
        put_value(out, metric, Some(&bound), &bucket, counted.cumulative_count() as f64);
    }
    let count = histogram.get_sample_count() as f64;
    put_value(out, metric, Some("+Inf"), &bucket, count);
    put_value(out, metric, None, &format!("{name}_sum"), histogram.get_sample_sum());
    put_value(out, metric, None, &format!("{name}_count"), count);
}

/// Appends a comma and one value; `name` is told where it is not the family's.
fn put_value(out: &mut Vec<u8>, metric: &Metric, bound: Option<&str>, name: &str, value: f64) {
    out.extend_from_slice(format!(",{{\"value\":{value},\"labels\":{{").as_bytes());
    let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
    for (at, (name, value)) in labels.chain(bound.map(|bound| ("le", bound))).enumerate() {
        out.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
        put_escaped(out, name);
        out.extend_from_slice(b"\":\"");
        put_escaped(out, value);
        out.push(b'"');
    }
    out.push(b'}');
    if !name.is_empty() {
        out.extend_from_slice(b",\"metricName\":\"");
        put_escaped(out, name);
        out.push(b'"');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::metrics::Histogram;
    use std::time::Duration;

    fn families() -> Vec<MetricFamily> {
        let mut families = Families::new("t_");
        families.gauges("g", "a \\ and\na new line");
        families.value(&[("app_id", "a\"b\\c\nd")], 1.5);
        families.counters("empty_total", "nothing");
        families.counter("c_total", "counts", 3.0);
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(200));
        families.histograms("h", "sizes");
        families.histogram(&[("route", "events")], &histogram);
        families.into_inner()
    }

    #[test]
    fn text_is_escaped_and_a_family_without_metrics_left_out() {
        let text = TextEncoder::new().encode_to_string(&families()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r"# HELP t_g a \\ and\na new line");
        assert_eq!(lines[1], "# TYPE t_g gauge");
        assert_eq!(lines[2], r#"t_g{app_id="a\"b\\c\nd"} 1.5"#);
        assert!(lines.contains(&"t_c_total 3") && !text.contains("empty"));
        assert!(lines.contains(&r#"t_h_bucket{route="events",le="0.00025"} 1"#), "{text}");
        assert!(lines.contains(&r#"t_h_bucket{route="events",le="+Inf"} 1"#));
        assert!(lines.contains(&r#"t_h_count{route="events"} 1"#));
    }

    #[test]
    fn json_is_that_of_prom_client() {
        let mut out = Vec::new();
        let families = families();
        families.iter().for_each(|family| put_family(&mut out, family));
        let text = String::from_utf8(out).unwrap();
        let expected = r#"{"help":"a \\ and\na new line","name":"t_g","type":"gauge","values":[{"value":1.5,"labels":{"app_id":"a\"b\\c\nd"}}],"aggregator":"sum"}"#;
        assert!(text.starts_with(expected), "{text}");
        let bucket =
            r#"{"value":1,"labels":{"route":"events","le":"+Inf"},"metricName":"t_h_bucket"}"#;
        assert!(text.contains(bucket), "{text}");
    }
}
