//! The file `lock`: one process at a time works on a run.
//!
//! The lock is the operating system's, so that of a process that died is free. The file names who
//! holds it. Where the file system has no locks, the name alone must do: that of a process of this
//! machine which is no longer there counts for nothing, any other holds until it is taken by force.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{remove_if_there, RunDir};
use mdn_core::{Error, Result};

const FILE: &str = "lock";

/// Longer than [`RunDir::holder`] has the lock.
const LOOK: Duration = Duration::from_millis(20);

/// The right to work on a run, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    // Held open for the operating system's lock.
    file: File,
    path: PathBuf,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Locking {
    /// It is ours.
    Ours(Lock),
    /// Another process has it: which, since when.
    Theirs(String),
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is still held; by force it may have become another's.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl RunDir {
    /// Whether a process holds the run, or died with it.
    pub fn has_lock(&self) -> bool {
        self.path(FILE).exists()
    }

    /// Which process holds the run now, and since when; `None` if none does. Nothing is written, and
    /// nobody is kept from the run.
    pub fn holder(&self) -> Result<Option<String>> {
        let path = self.path(FILE);
        // Whatever else has this name is not what [`RunDir::lock`] made.
        if !fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) {
            return Ok(None);
        }
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, "could not open")(e)),
        };
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = holder.trim().to_owned();
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder)),
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                Ok(Some(holder).filter(|h| !h.is_empty() && !is_gone(h)))
            }
            Err(TryLockError::Error(e)) => Err(Error::io(&path, "could not look at")(e)),
        }
    }

    /// Asks for the right to work on the run; with `steal`, takes it from whoever has it.
    pub fn lock(&self, steal: bool) -> Result<Locking> {
        let path = self.path(FILE);
        self.create()?;
        // Its holder is written into it: a link would have that done to another file.
        if path.is_symlink() {
            return Err(Error::request(format!(
                "{}: expected a file; got a symbolic link (remove it)",
                path.display()
            )));
        }
        if steal {
            // Whoever holds it holds a file without a name from now on.
            remove_if_there(&path)?;
        }
        let mut again = true;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options
                .open(&path)
                .map_err(Error::io(&path, "could not open"))?;
            let mut holder = String::new();
            // What is not text names nobody.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if again => {
                    // It may be one who only looks.
                    again = false;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Ok(Locking::Theirs(holder)),
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                    if !holder.is_empty() && !is_gone(&holder) {
                        return Ok(Locking::Theirs(holder));
                    }
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(&path, "could not lock")(e)),
            }
            // Between opening and locking, the holder before may have removed it.
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

/// Whether the open file is the one that has this name.
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

/// Whether the process that [`RunDir::lock`] wrote down was one of this machine and is no longer there.
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
    fn a_run_is_one_processs_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("run"));
        let Locking::Ours(first) = run.lock(false).unwrap() else {
            panic!("nobody has it");
        };
        // A lock belongs to the open file: a second one of this process stands for another.
        let Locking::Theirs(who) = run.lock(false).unwrap() else {
            panic!("taken twice");
        };
        let me = format!("process {} on ", std::process::id());
        assert!(who.starts_with(&me) && who.contains(" since 2"), "{who}");
        assert_eq!(run.holder().unwrap(), Some(who));
        drop(first);
        assert_eq!(run.holder().unwrap(), None);
        assert!(!run.path(FILE).exists());
        let Locking::Ours(second) = run.lock(false).unwrap() else {
            panic!("it is free");
        };
        let Locking::Ours(thief) = run.lock(true).unwrap() else {
            panic!("by force");
        };
        assert!(matches!(run.lock(false).unwrap(), Locking::Theirs(_)));
        drop(second);
        assert!(matches!(run.lock(false).unwrap(), Locking::Theirs(_)));
        drop(thief);
        assert!(!run.path(FILE).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (run, other) = (RunDir(dir.path().join("run")), dir.path().join("other"));
        fs::write(&other, "kept").unwrap();
        run.create().unwrap();
        std::os::unix::fs::symlink(&other, run.path(FILE)).unwrap();
        let said = run.lock(false).unwrap_err().to_string();
        assert!(said.contains("got a symbolic link"), "{said}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        for left in ["process 1 on elsewhere since then\n", "", "\u{0}\u{1}"] {
            fs::write(run.path(FILE), left).unwrap();
            assert_eq!(run.holder().unwrap(), None);
            assert_eq!(fs::read_to_string(run.path(FILE)).unwrap(), left);
            assert!(matches!(run.lock(false).unwrap(), Locking::Ours(_)));
        }
    }

    #[cfg(unix)]
    #[test]
    fn without_locks_only_a_dead_process_of_this_machine_counts_for_nothing() {
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
