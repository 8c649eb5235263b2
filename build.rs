//! Puts the commit into `mdn --version`, where the sources lie in a git repository of their own.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let said = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=MDN_VERSION={said}");
}

fn commit() -> Option<String> {
    // As it is now: a build script may have been compiled elsewhere.
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root);
    // A crate unpacked inside somebody else's repository must not take that one's commit.
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
    // Sources that differ from the commit make another program. Cargo runs this again for those files
    // alone, so that a commit of just these changes leaves the mark until the next build.
    let sources = [
        "src",
        "crates",
        "assets",
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
    ];
    for source in sources {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let asked: Vec<_> = ["status", "--porcelain", "--"]
        .into_iter()
        .chain(sources)
        .collect();
    Some(match git(&asked) {
        Some(_) => format!("{commit}, changed"),
        None => commit,
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
