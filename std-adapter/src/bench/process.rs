//! CPU and memory of processes, from `/proc`, and the limit of open files.

use std::fmt;
use std::fs;
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// Open files that a run needs beside its connections.
const SPARE_FILES: u64 = 64;

/// What processes have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    user_s: f64,
    system_s: f64,
    /// Resident memory.
    pub(crate) rss_kb: u64,
    /// Threads.
    pub(crate) threads: u64,
}

impl Usage {
    /// The sum over `pids`; `None` for none, and when one of them is gone.
    pub(crate) fn of(pids: &[u32]) -> Option<Self> {
        if pids.is_empty() {
            return None;
        }
        let mut sum = Self::default();
        for pid in pids {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let (user, system, threads) = parse_stat(&stat)?;
            sum.user_s += user as f64 / ticks_per_second();
            sum.system_s += system as f64 / ticks_per_second();
            sum.threads += threads;
            sum.rss_kb += parse_rss(&status)?;
        }
        Some(sum)
    }

    fn own() -> Self {
        Self::of(&[std::process::id()]).unwrap_or_default()
    }

    fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// CPU taken over a span by the server, by this program and by everything else.
#[derive(Debug)]
pub(crate) struct Meter {
    pids: Vec<u32>,
    started: Instant,
    server: Option<Usage>,
    own: Usage,
    machine_s: f64,
}

/// What a [`Meter`] measured; percentages are of one core.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// The server's own code and the kernel's work for it, when its process is known.
    pub(crate) server: Option<ServerTaken>,
    /// This program.
    pub(crate) own_pct: f64,
    /// Every other process: how noisy the machine was.
    pub(crate) others_pct: f64,
}

/// The server's part of [`Taken`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerTaken {
    /// Seconds in its own code.
    pub(crate) user_s: f64,
    /// Seconds in the kernel for it.
    pub(crate) system_s: f64,
    /// Both, as a share of the span.
    pub(crate) pct: f64,
    /// Resident memory at the end.
    pub(crate) rss_kb: u64,
}

impl ServerTaken {
    /// Microseconds of CPU for each of `count` things.
    pub(crate) fn micros_each(&self, count: u64) -> f64 {
        (self.user_s + self.system_s) * 1e6 / count.max(1) as f64
    }
}

impl Meter {
    /// Starts to measure.
    pub(crate) fn start(pids: &[u32]) -> Self {
        Self {
            pids: pids.to_vec(),
            started: Instant::now(),
            server: Usage::of(pids),
            own: Usage::own(),
            machine_s: machine_busy_s(),
        }
    }

    /// What was taken since the start.
    pub(crate) fn stop(&self) -> Taken {
        let wall = self.started.elapsed().as_secs_f64().max(1e-9);
        let own = Usage::own().cpu_s() - self.own.cpu_s();
        let server = self.server.zip(Usage::of(&self.pids)).map(|(before, after)| ServerTaken {
            user_s: after.user_s - before.user_s,
            system_s: after.system_s - before.system_s,
            pct: 100.0 * (after.cpu_s() - before.cpu_s()) / wall,
            rss_kb: after.rss_kb,
        });
        let known = own + server.map_or(0.0, |server| server.user_s + server.system_s);
        let others = machine_busy_s() - self.machine_s - known;
        Taken { server, own_pct: 100.0 * own / wall, others_pct: (100.0 * others / wall).max(0.0) }
    }
}

/// The load average of the last minute, if the system tells.
pub(crate) fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// A process may open fewer files than the run needs.
#[derive(Debug, thiserror::Error)]
pub(crate) struct FileLimit {
    /// The server's process, or `None` for this program.
    server: Option<u32>,
    needed: u64,
    limit: u64,
}

impl fmt::Display for FileLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, needed, limit } = self;
        match server {
            None => write!(
                f,
                "this run needs {needed} open files, and the limit is {limit}\n  raise it in the shell that starts the run: `ulimit -n {needed}`, where `ulimit -Hn` allows it;\n  else as root: `prlimit --pid $$ --nofile={needed}`; or ask for fewer connections"
            ),
            Some(pid) => write!(
                f,
                "the server (process {pid}) may open {limit} files, and this run needs {needed} there\n  raise it while it runs: `prlimit --pid {pid} --nofile={needed}`; or start it after `ulimit -n {needed}`"
            ),
        }
    }
}

/// Makes room for `conns` connections, here and, as far as its processes are known, at the server.
///
/// # Errors
/// [`FileLimit`] when this process may not raise its own limit so far, or one of `pids` has a lower one.
pub(crate) fn make_room(conns: usize, pids: &[u32]) -> Result<(), FileLimit> {
    let needed = conns as u64 + SPARE_FILES;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let limit = if raised { hard } else { soft };
        if limit < needed {
            return Err(FileLimit { server: None, needed, limit });
        }
    }
    for &pid in pids {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        if let Some(limit) = parse_file_limit(&limits).filter(|&limit| limit < needed) {
            return Err(FileLimit { server: Some(pid), needed, limit });
        }
    }
    Ok(())
}

fn ticks_per_second() -> f64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100.0, |ticks| ticks as f64)
}

/// User ticks, system ticks and threads, from the text of `/proc/PID/stat`.
fn parse_stat(text: &str) -> Option<(u64, u64, u64)> {
    // The command's name may hold spaces and brackets; the fields start behind the last ')'.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse().ok();
    Some((field(11)?, field(12)?, field(17)?))
}

fn parse_rss(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The soft limit, from the text of `/proc/PID/limits`; `None` also when there is no limit.
fn parse_file_limit(limits: &str) -> Option<u64> {
    let value = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Busy seconds of all cores together since the machine started.
fn machine_busy_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    busy_ticks(&text) as f64 / ticks_per_second()
}

/// User, nice, system, irq, softirq and steal; guest time is already in user, idle and iowait are not busy.
fn busy_ticks(stat: &str) -> u64 {
    let line = stat.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).take(8).map(|field| field.parse().unwrap_or(0));
    fields
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4))
        .map(|(_, ticks): (_, u64)| ticks)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_brackets_does_not_shift_the_fields() {
        let text = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 111 222 0 0 20 0 7 0 99";
        assert_eq!(parse_stat(text), Some((111, 222, 7)));
        assert_eq!(parse_stat("12 (a) R 1"), None);
    }

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(busy_ticks("cpu  1 2 3 1000 1000 4 5 6 7 8\ncpu0 9"), 21);
    }

    #[test]
    fn memory_and_file_limit_are_read_from_their_lines() {
        assert_eq!(parse_rss("VmHWM:\t 9 kB\nVmRSS:\t  1234 kB\n"), Some(1234));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  524288  files\n";
        assert_eq!(parse_file_limit(limits), Some(1024));
        assert_eq!(parse_file_limit("Max open files  unlimited  unlimited  files\n"), None);
    }

    #[test]
    fn this_process_uses_memory_and_the_meter_sees_no_server_without_a_pid() {
        assert!(Usage::own().rss_kb > 0);
        assert!(Usage::of(&[]).is_none());
        assert!(Meter::start(&[]).stop().server.is_none());
    }

    #[test]
    fn too_many_connections_are_refused_with_the_command_that_helps() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let error = make_room(hard as usize, &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("the limit is {hard}")), "{error}");
        assert!(error.contains("ulimit -n"), "{error}");
        make_room(1, &[std::process::id()]).unwrap();
    }
}
