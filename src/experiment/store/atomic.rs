//! Files that are there in full or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use mdn_core::{Error, Result};

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".mdn-";

/// Whether a file of this name was never finished.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Removes what processes that died left half written in `folder`. No other may be writing there.
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

/// Writes `bytes` to a new file beside `path` and moves it there, so that a reader or a crash
/// never meets half a file. Folders on the way are made.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io(folder, "could not make the folder"))?;
    // Made here, since the temporary files of the crate are private, which hides results from colleagues on
    // a shared disk, and its errors name a file that nobody asked for.
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
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_as_readable_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
        write_atomic(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"x").unwrap();
        let error = write_atomic(&file.join("below"), b"x").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        // A folder that takes no files: the message is of the file that was asked for alone.
        #[cfg(target_os = "linux")]
        {
            let error = write_atomic(Path::new("/proc/status"), b"x").unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("/proc/status: could not write: "),
                "{text}"
            );
            assert!(!text.contains(UNFINISHED), "{text}");
        }
    }
}
