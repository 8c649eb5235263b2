//! Files are written in full or not at all, and never through a link that leads out of the results.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use mdn_core::{Error, Result};

/// Prefix of files that are being written.
const UNFINISHED: &str = ".mdn-";

/// Whether this is the name of a temporary file.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Removes the temporary files of processes that died in `folder`. No process may be writing there.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder, "could not read"))?;
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|t| t.is_file());
        if is_file && is_unfinished(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(Error::io(&path, "could not remove"))?;
        }
    }
    Ok(())
}

/// Removes the file, if there is one.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, "could not remove")(e)),
        _ => Ok(()),
    }
}

/// A bad request: the file or folder at `path` is not as expected.
pub fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::request(format!("{}: {why}", path.display()))
}

/// The content of the file; `None` where there is none.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io(path, "could not read")(e)),
    }
}

/// Writes `bytes` to a new file beside `path` and moves it there, so that no reader or crash
/// meets half a file. Missing folders are made.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io(folder, "could not make the folder"))?;
    // The crate's own temporary files are private, which would hide results from colleagues on a
    // shared disk, and its errors name the temporary file.
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .make_in(folder, |path| File::create_new(path))
        .map_err(Error::io(path, "could not write"))?;
    file.as_file_mut()
        .write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io(path, "could not write"))?;
    file.persist(path)
        .map_err(|e| Error::io(path, "could not write")(e.error))?;
    // The move itself survives a power cut only once the folder is on disk; not every file
    // system can sync a folder, and the file is already whole.
    let _ = File::open(folder).and_then(|f| f.sync_all());
    Ok(())
}

/// Refuses to write to `place`, which is `out` or below it, where a symbolic link between them leads
/// out of `out`. `out` itself may be a link, and links to places inside it are allowed.
/// The error has the name of the link and where it leads.
pub fn check_within(out: &Path, place: &Path) -> Result<()> {
    let Ok(below) = place.strip_prefix(out) else {
        return Err(Error::failed(format!(
            "{}: expected a place below {}",
            place.display(),
            out.display()
        )));
    };
    let real = out.canonicalize().ok();
    let mut at = out.to_path_buf();
    for part in below {
        at.push(part);
        let leads = at.canonicalize().ok().zip(real.as_ref());
        let inside = leads.is_some_and(|(leads, real)| leads.starts_with(real));
        if at.is_symlink() && !inside {
            let to = at.read_link().unwrap_or_default();
            return Err(Error::request(format!(
                "{}: a symbolic link that leads out of {}, to {}: nothing is written there (remove \
                 it, or give the folder it leads to by --out)",
                at.display(),
                out.display(),
                to.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/status");
        write_atomic(&path, b"running\n").unwrap();
        write_atomic(&path, b"done\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"done\n");
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = dir.path().join("plain");
            fs::write(&plain, b"x").unwrap();
            let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&plain), "as readable as any other");
        }
    }

    /// The message names the file that was asked for, not the temporary one.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
        let error = write_atomic(Path::new("/proc/status"), b"x").unwrap_err();
        let text = error.to_string();
        let start = "/proc/status: could not write: ";
        assert!(
            text.starts_with(start) && !text.contains(UNFINISHED),
            "{text}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_links_that_lead_out_are_refused() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir_all(out.join("e/ring")).unwrap();
        symlink("ring", out.join("e/inside")).unwrap();
        check_within(&out, &out.join("e/inside/flow")).unwrap();
        symlink(dir.path().join("nowhere"), out.join("f")).unwrap();
        assert!(check_within(&out, &out.join("f")).is_err());
        assert!(check_within(&out, dir.path()).is_err());
    }
}
