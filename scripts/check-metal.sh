#!/bin/sh
# Type-checks `--features metal` without a Mac:
#
#   scripts/check-metal.sh [more `cargo check` arguments]
#
# Shows that mdn, candle and their dependencies compile with Metal, not that they link or run. Works
# on copies below the target folder; the source tree and Cargo.lock do not change.
set -eu
cd "$(dirname "$0")/.."

root=$PWD
work=${CARGO_TARGET_DIR:-$root/target}/metal-check
rm -rf "$work/crate" "$work/objc2-metal"
mkdir -p "$work/crate"

# Links to the crate's files, with a separate manifest.
for entry in *; do
    case $entry in
        Cargo.toml | Cargo.lock | target) ;;
        *) ln -s "$root/$entry" "$work/crate/$entry" ;;
    esac
done
cp Cargo.toml Cargo.lock "$work/crate"

# The bindings need an Objective-C runtime: claim GNUstep's. rustc accepts the attribute that links a
# framework on Apple's systems only: remove it.
cargo fetch --quiet --locked
version=$(awk '/^name = "objc2-metal"$/ { getline; gsub(/"/, ""); print $3 }' Cargo.lock)
cp -R "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"objc2-metal-$version" "$work/objc2-metal"
bindings=$work/objc2-metal/src/generated/mod.rs
grep -v '^#\[link(name = "Metal", kind = "framework")\]$' "$bindings" >"$work/bindings"
mv "$work/bindings" "$bindings"
cat >>"$work/crate/Cargo.toml" <<'END'

[dependencies.objc2]
version = "*"
features = ["gnustep-2-1"]

[dependencies.block2]
version = "*"
features = ["gnustep-2-1"]

[patch.crates-io]
objc2-metal = { path = "../objc2-metal" }
END

CARGO_TARGET_DIR=$work/build exec cargo check --manifest-path "$work/crate/Cargo.toml" \
    --package mdn --features metal "$@"
