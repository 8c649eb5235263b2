//! What the system says of this process and of its processor.

use std::process::Command;
use std::time::Duration;

/// Processor time of this process, all threads, and of the calling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The whole process.
    Process,
    /// The thread that asks.
    Thread,
}

impl Clock {
    /// Time so far, where the system tells it.
    #[cfg(unix)]
    pub fn now(self) -> Option<Duration> {
        use nix::time::{clock_gettime, ClockId};
        let id = match self {
            Self::Process => ClockId::CLOCK_PROCESS_CPUTIME_ID,
            Self::Thread => ClockId::CLOCK_THREAD_CPUTIME_ID,
        };
        clock_gettime(id).ok().map(Duration::from)
    }

    /// Time so far, where the system tells it.
    #[cfg(not(unix))]
    pub fn now(self) -> Option<Duration> {
        None
    }
}

/// The most memory that this process has had at a time, in bytes, where the system tells it.
#[cfg(unix)]
pub fn peak_memory() -> Option<u64> {
    use nix::sys::resource::{getrusage, UsageWho};
    // Kilobytes, but for Apple.
    let unit = if cfg!(target_vendor = "apple") {
        1
    } else {
        1024
    };
    let most = getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss();
    u64::try_from(most).ok().map(|most| most * unit)
}

/// The most memory that this process has had at a time, in bytes, where the system tells it.
#[cfg(not(unix))]
pub fn peak_memory() -> Option<u64> {
    None
}

/// The processor's name, or its architecture where it has no name.
pub fn processor() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo").ok();
    let linux = linux.as_deref().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let named = linux.or_else(|| {
        let apple = cfg!(target_vendor = "apple").then(|| {
            let arguments = ["-n", "machdep.cpu.brand_string"];
            Command::new("sysctl").args(arguments).output().ok()
        })??;
        Some(String::from_utf8_lossy(&apple.stdout).trim().to_owned())
    });
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
