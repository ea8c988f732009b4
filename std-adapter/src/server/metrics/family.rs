//! Families of metrics, put together from numbers at hand.

use super::histogram::Histogram;
use prometheus::proto::{
    self, Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType,
};

/// Labels with their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Families whose names begin alike.
pub(super) struct Families<'a> {
    prefix: &'a str,
    all: Vec<MetricFamily>,
}

impl<'a> Families<'a> {
    pub(super) const fn new(prefix: &'a str) -> Self {
        Self { prefix, all: Vec::new() }
    }

    /// The families that have at least one metric.
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.all.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
    }

    fn begin(&mut self, name: &str, help: &str, kind: MetricType) {
        let mut family = MetricFamily::default();
        family.set_name(format!("{}{name}", self.prefix));
        family.set_help(help.into());
        family.set_field_type(kind);
        self.all.push(family);
    }

    /// Begins a family of gauges; [`value`](Self::value) follows.
    pub(super) fn gauges(&mut self, name: &str, help: &str) {
        self.begin(name, help, MetricType::GAUGE);
    }

    /// Begins a family of counters; [`value`](Self::value) follows.
    pub(super) fn counters(&mut self, name: &str, help: &str) {
        self.begin(name, help, MetricType::COUNTER);
    }

    /// Begins a family of histograms; [`histogram`](Self::histogram) follows.
    pub(super) fn histograms(&mut self, name: &str, help: &str) {
        self.begin(name, help, MetricType::HISTOGRAM);
    }

    /// A metric of the family begun last.
    pub(super) fn value(&mut self, labels: Labels<'_>, value: f64) {
        let Some(family) = self.all.last_mut() else { return };
        let mut metric = metric(labels);
        if family.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        family.mut_metric().push(metric);
    }

    /// A gauge without labels, alone in its family.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help);
        self.value(&[], value);
    }

    /// A counter without labels, alone in its family.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help);
        self.value(&[], value);
    }

    /// A histogram of the family begun last.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, counted: &Histogram) {
        let Some(family) = self.all.last_mut() else { return };
        let bucket = |(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(counted.cumulative().map(bucket).collect());
        histogram.set_sample_count(counted.count());
        histogram.set_sample_sum(counted.sum());
        let mut metric = metric(labels);
        metric.set_histogram(histogram);
        family.mut_metric().push(metric);
    }
}

fn metric(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).into());
        pair.set_value((*value).into());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
