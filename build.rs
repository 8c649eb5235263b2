//! Puts the commit into `mdn --version`, where the sources lie in a git repository of their own.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let commit = commit().map_or_else(String::new, |commit| format!(" ({commit})"));
    println!("cargo:rustc-env=MDN_VERSION={version}{commit}");
}

fn commit() -> Option<String> {
    // At run time: a build script may have been compiled elsewhere.
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root);
    // A crate unpacked inside another repository must not show the commit of that repository.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // This log grows with every commit and checkout of this working tree.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        let log = root.join(log);
        if log.exists() {
            println!("cargo:rerun-if-changed={}", log.display());
        }
    }
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    // Marks sources that differ from the commit. Cargo runs this again only when these files change, so
    // the mark stays after these changes are committed until the next build.
    let mut status = vec!["status", "--porcelain", "--"];
    for source in "src crates assets build.rs Cargo.toml Cargo.lock".split(' ') {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
        status.push(source);
    }
    Some(match git(&status) {
        Some(_) => format!("{commit}, changed"),
        None => commit,
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
