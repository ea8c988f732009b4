//! What load balancers ask.

use super::answer::{Answer, Refusal};
use crate::server::hub::Hub;

/// Used memory, in percent, from which on no more traffic is wanted; Soketi's default.
const FULL_PERCENT: f64 = 85.0;

/// `GET /ready`: whether new clients are better off here than elsewhere.
pub(super) fn ready(hub: &Hub) -> Result<Answer, Refusal> {
    if hub.is_leaving() {
        return Err(Refusal::draining());
    }
    let degraded = hub.backplane().and_then(|backplane| backplane.view().state().degraded);
    match degraded {
        Some(reason) => Err(Refusal::unavailable(format!(
            "degraded: the backplane is not reached ({reason}), so this server serves alone: choose another"
        ))),
        None => Ok(Answer::healthy()),
    }
}

/// `GET /accept-traffic`: whether there is memory for more, as Soketi tells it.
pub(super) fn accept_traffic(hub: &Hub) -> Result<Answer, Refusal> {
    if hub.is_draining() {
        return Err(Refusal::draining());
    }
    let (used, total) = memory().unwrap_or((0, 0));
    let percent = if total == 0 { 0.0 } else { used as f64 / total as f64 * 100.0 };
    if percent >= FULL_PERCENT {
        return Err(Refusal::unavailable(format!(
            "{percent:.0} % of the memory is in use, the limit is {FULL_PERCENT} %: choose another server"
        )));
    }
    let text = format!(
        r#"{{"memory":{{"usedSize":{used},"totalSize":{total},"percentUsage":{percent:.2}}}}}"#
    );
    Ok(Answer::json(text.into_bytes()))
}

/// `GET /usage` of the listener for metrics, as Soketi tells it.
pub(super) fn usage() -> Answer {
    let (used, total) = memory().unwrap_or((0, 0));
    let free = total.saturating_sub(used);
    let percent = if total == 0 { 0.0 } else { used as f64 / total as f64 * 100.0 };
    let text = format!(
        r#"{{"memory":{{"free":{free},"used":{used},"total":{total},"percent":{percent:.2}}}}}"#
    );
    Answer::json(text.into_bytes())
}

/// Bytes that are used and that there are: of the container if it has a bound, else of the machine.
fn memory() -> Option<(u64, u64)> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = machine_memory();
    let total = machine.map_or(u64::MAX, |(_, total)| total);
    match (number("/sys/fs/cgroup/memory.current"), number("/sys/fs/cgroup/memory.max")) {
        (Some(used), Some(max)) if max < total => Some((used, max)),
        _ => machine,
    }
}

/// Used and all memory of the machine; what can be freed at once counts as free.
fn machine_memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let total = kilobytes("MemTotal:")?.saturating_mul(1024);
    let free = kilobytes("MemAvailable:")?.saturating_mul(1024);
    Some((total.saturating_sub(free), total))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn some_memory_is_used_and_some_is_left() {
        let (used, total) = memory().unwrap();
        assert!(0 < used && used < total, "{used} of {total}");
    }
}
