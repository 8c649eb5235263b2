//! Links in the results folder that lead out of it.

use std::path::Path;

use mdn_core::{Error, Result};

/// Refuses to write to `place`, which is `out` or below it, where a symbolic link on the way from
/// `out` leads somewhere else. That `out` is or stands behind a link is the user's own choice; so are links to
/// places inside it.
///
/// # Errors
/// With the name of the link and where it leads.
pub fn check_within(out: &Path, place: &Path) -> Result<()> {
    let Ok(below) = place.strip_prefix(out) else {
        return Err(Error::failed(format!(
            "{}: expected a place below {}",
            place.display(),
            out.display()
        )));
    };
    let mut at = out.to_path_buf();
    for part in below {
        at.push(part);
        if !at.is_symlink() {
            continue;
        }
        let leads = at.canonicalize();
        let real = out.canonicalize();
        match (&leads, &real) {
            (Ok(leads), Ok(real)) if leads.starts_with(real) => {}
            _ => {
                let to = at.read_link().unwrap_or_default();
                return Err(Error::request(format!(
                    "{}: a symbolic link that leads out of {}, to {}: nothing is written there \
                     (remove it, or give the folder it leads to by --out)",
                    at.display(),
                    out.display(),
                    to.display()
                )));
            }
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_links_that_lead_out_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, away) = (dir.path().join("real"), dir.path().join("away"));
        fs::create_dir_all(real.join("e/ring")).unwrap();
        fs::create_dir_all(&away).unwrap();
        let out = dir.path().join("out");
        symlink(&real, &out).unwrap();
        let run = out.join("e/ring/flow/seed-0");
        check_within(&out, &run).unwrap();
        check_within(&out, &out).unwrap();
        symlink("ring", real.join("e/inside")).unwrap();
        check_within(&out, &out.join("e/inside/flow")).unwrap();
        symlink(&away, real.join("e/ring/flow")).unwrap();
        let said = check_within(&out, &run).unwrap_err().to_string();
        assert!(
            said.contains("e/ring/flow: a symbolic link that leads out of"),
            "{said}"
        );
        symlink(dir.path().join("nowhere"), real.join("f")).unwrap();
        assert!(check_within(&out, &out.join("f")).is_err());
        assert!(check_within(&out, &away).is_err());
    }
}
