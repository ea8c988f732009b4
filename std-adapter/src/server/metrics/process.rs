//! The process, as the system sees it, by the names that Prometheus' clients agree on.

use super::family::Families;
use std::fs;

/// Clock ticks in a second: Linux tells programs times in hundredths on every architecture.
const TICKS: f64 = 100.0;

/// What the system tells; nothing where it is not Linux.
#[derive(Debug, Default)]
struct Process {
    /// Seconds of processor time for the program, and for the system on its behalf.
    cpu: Option<(f64, f64)>,
    /// Seconds since 1970.
    started: Option<f64>,
    resident: Option<f64>,
    size: Option<f64>,
    threads: Option<f64>,
    open_files: Option<f64>,
    max_files: Option<f64>,
}

impl Process {
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).ok();
        let stat = text("/proc/self/stat");
        // The name in parentheses may hold anything; what follows it are numbers.
        let rest = stat.as_deref().and_then(|stat| stat.rsplit_once(") "));
        let fields: Vec<&str> = rest.map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect());
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let booted = text("/proc/stat").and_then(|stat| {
            stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())
        });
        let resident = text("/proc/self/status").and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
        });
        let max_files = text("/proc/self/limits").and_then(|limits| {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
            line.split_whitespace().next()?.parse().ok()
        });
        Self {
            cpu: field(11).zip(field(12)).map(|(user, system)| (user / TICKS, system / TICKS)),
            started: booted.zip(field(19)).map(|(booted, ticks)| booted + ticks / TICKS),
            resident: resident.map(|kilobytes| kilobytes * 1024.0),
            size: field(20),
            threads: field(17),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64),
            max_files,
        }
    }
}

/// Adds what is known of the process.
pub(super) fn families(out: &mut Families<'_>) {
    let process = Process::read();
    if let Some((user, system)) = process.cpu {
        let help = "Seconds of processor time";
        out.counter("process_cpu_seconds_total", help, user + system);
        let help = "Seconds of processor time of the program itself";
        out.counter("process_cpu_user_seconds_total", help, user);
        let help = "Seconds of processor time of the system for it";
        out.counter("process_cpu_system_seconds_total", help, system);
    }
    for (name, help, value) in [
        ("process_start_time_seconds", "When it started, in seconds since 1970", process.started),
        ("process_resident_memory_bytes", "Memory that it has in use", process.resident),
        ("process_virtual_memory_bytes", "Addresses that it has in use", process.size),
        ("process_threads", "Its threads", process.threads),
        ("process_open_fds", "Descriptors that are open", process.open_files),
        ("process_max_fds", "Descriptors that may be open", process.max_files),
    ] {
        if let Some(value) = value {
            out.gauge(name, help, value);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_this_process() {
        let process = Process::read();
        let now = crate::server::now_ms() as f64 / 1000.0;
        let age = now - process.started.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
        assert!(process.resident.unwrap() > 100_000.0);
        assert!(process.size.unwrap() >= process.resident.unwrap());
        assert!(process.threads.unwrap() >= 1.0 && process.cpu.is_some());
        assert!(process.open_files.unwrap() >= 3.0);
        assert!(process.max_files.unwrap() >= process.open_files.unwrap());
    }
}
