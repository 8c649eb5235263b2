//! What the system reports about this process and its processor.

use std::process::Command;
use std::time::Duration;

/// A clock of processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Of all threads of this process.
    Process,
    /// Of the calling thread.
    Thread,
}

impl Clock {
    /// Time so far, if the system reports it.
    pub fn now(self) -> Option<Duration> {
        #[cfg(unix)]
        {
            use nix::time::{clock_gettime, ClockId};
            let id = match self {
                Self::Process => ClockId::CLOCK_PROCESS_CPUTIME_ID,
                Self::Thread => ClockId::CLOCK_THREAD_CPUTIME_ID,
            };
            clock_gettime(id).ok().map(Duration::from)
        }
        #[cfg(not(unix))]
        None
    }
}

/// Peak resident memory of this process in bytes, if the system reports it.
pub fn peak_memory() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{getrusage, UsageWho};
        // Apple counts bytes, others kilobytes.
        let apple = cfg!(target_vendor = "apple");
        let most = getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss();
        let most = u64::try_from(most).ok()?;
        Some(most * if apple { 1 } else { 1024 })
    }
    #[cfg(not(unix))]
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
