//! The file `lock`: one process at a time works on a run.
//!
//! The operating system releases the lock of a process that dies. The file names the holder. On a file
//! system without locks the name alone decides: a dead process of this machine holds nothing, any
//! other holder keeps the run until it is taken by force.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{remove_if_there, unusable, RunDir};
use mdn_core::{Error, Result};

const FILE: &str = "lock";

/// Longer than [`RunDir::holder`] keeps its lock.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// The right to work on a run, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    // Open for as long as the lock is held.
    file: File,
    path: PathBuf,
}

/// The answer to a request for a lock.
#[derive(Debug)]
pub enum Locking {
    /// It is ours.
    Ours(Lock),
    /// Another process has it: which, since when.
    Theirs(String),
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is still held. The file may be another process's that took it by force.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl RunDir {
    /// Which process holds the run now, and since when; `None` if none does. Nothing is written and
    /// nothing stays locked.
    pub fn holder(&self) -> Result<Option<String>> {
        let path = self.path(FILE);
        // Links and folders of this name are not from [`RunDir::lock`].
        if !fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) {
            return Ok(None);
        }
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, "could not open")(e)),
        };
        let holder = holder_in(&mut file);
        holder_after(file.try_lock_shared(), holder, &path)
    }

    /// Asks for the right to work on the run; with `steal`, takes it from its holder.
    pub fn lock(&self, steal: bool) -> Result<Locking> {
        let path = self.path(FILE);
        self.create()?;
        // The holder is written into the file: through a link that would change another file.
        if path.is_symlink() {
            let why = "expected a file; got a symbolic link (remove it)";
            return Err(unusable(&path, why));
        }
        if steal {
            // Its holder keeps an open file that no longer has a name.
            remove_if_there(&path)?;
        }
        let mut again = true;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options
                .open(&path)
                .map_err(Error::io(&path, "could not open"))?;
            let holder = holder_in(&mut file);
            if let Some(holder) = holder_after(file.try_lock(), holder, &path)? {
                if !again {
                    return Ok(Locking::Theirs(holder));
                }
                // It may be a call of `holder`, which is short.
                again = false;
                std::thread::sleep(RETRY_AFTER);
                continue;
            }
            // The previous holder may have removed the file since it was opened.
            if !is_at(&file, &path) {
                continue;
            }
            let since = humantime::format_rfc3339_seconds(SystemTime::now());
            let (host, process) = (host(), std::process::id());
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| writeln!(file, "process {process} on {host} since {since}"))
                .map_err(Error::io(&path, "could not write"))?;
            return Ok(Locking::Ours(Lock { file, path }));
        }
    }
}

/// The holder, if there is one, after an attempt to lock the file. On a file system without locks it is
/// the one that the file names, unless its process is dead.
fn holder_after(
    tried: Result<(), TryLockError>,
    named: String,
    path: &Path,
) -> Result<Option<String>> {
    match tried {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(named)),
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
            Ok(Some(named).filter(|who| !who.is_empty() && !is_gone(who)))
        }
        Err(TryLockError::Error(e)) => Err(Error::io(path, "could not lock")(e)),
    }
}

/// The holder that the file names; empty where it is not text.
fn holder_in(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    holder.trim().to_owned()
}

/// Whether the open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// This machine's name.
#[cfg(unix)]
fn host() -> String {
    let name = nix::unistd::gethostname().ok();
    name.and_then(|n| n.into_string().ok())
        .unwrap_or_else(|| "this host".to_owned())
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this host".to_owned())
}

/// Whether the holder that [`RunDir::lock`] wrote was a process of this machine and is dead.
#[cfg(unix)]
fn is_gone(holder: &str) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    let words: Vec<_> = holder.split(' ').collect();
    let ["process", process, "on", there, ..] = words[..] else {
        return false;
    };
    let Ok(process) = process.parse() else {
        return false;
    };
    there == host() && kill(Pid::from_raw(process), None) == Err(Errno::ESRCH)
}

#[cfg(not(unix))]
fn is_gone(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("run"));
        let ours = |steal| match run.lock(steal).unwrap() {
            Locking::Ours(lock) => lock,
            Locking::Theirs(who) => panic!("held by {who}"),
        };
        let first = ours(false);
        // A lock belongs to the open file: a second one stands for another process.
        let Locking::Theirs(who) = run.lock(false).unwrap() else {
            panic!("taken twice");
        };
        let me = format!("process {} on ", std::process::id());
        assert!(who.starts_with(&me) && who.contains(" since 2"), "{who}");
        assert_eq!(run.holder().unwrap(), Some(who));
        drop(first);
        assert_eq!(run.holder().unwrap(), None);
        assert!(!run.path(FILE).exists());
        let second = ours(false);
        let thief = ours(true);
        assert!(matches!(run.lock(false).unwrap(), Locking::Theirs(_)));
        drop(second);
        assert!(matches!(run.lock(false).unwrap(), Locking::Theirs(_)));
        drop(thief);
        assert!(!run.path(FILE).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_a_link_is_refused_and_its_target_stays() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("run"));
        let other = run.write("other", b"kept").unwrap();
        std::os::unix::fs::symlink(&other, run.path(FILE)).unwrap();
        let said = run.lock(false).unwrap_err().to_string();
        assert!(said.contains("got a symbolic link"), "{said}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
    }

    #[cfg(unix)]
    #[test]
    fn without_system_locks_only_a_dead_process_of_this_machine_frees_a_run() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let host = host();
        assert!(is_gone(&format!("process {dead} on {host} since now")));
        assert!(!is_gone(&format!("process {dead} on not{host} since now")));
        let own = std::process::id();
        assert!(!is_gone(&format!("process {own} on {host} since now")));
        assert!(!is_gone("somebody"));
    }
}
