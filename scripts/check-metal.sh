#!/bin/sh
# Type-checks `--features metal` on a machine that is no Mac:
#
#   scripts/check-metal.sh [more `cargo check` arguments]
#
# Proves that mdn, candle and what lies below compile with Metal; not that they link or run. Works
# on copies below the target folder and leaves the tree and Cargo.lock alone.
set -eu
cd "$(dirname "$0")/.."

root=$PWD
work=${CARGO_TARGET_DIR:-$root/target}/metal-check
rm -rf "$work/crate" "$work/objc2-metal"
mkdir -p "$work/crate"

# The workspace, by links, with a manifest of its own.
for entry in *; do
    case $entry in
        Cargo.toml | Cargo.lock | target) ;;
        *) ln -s "$root/$entry" "$work/crate/$entry" ;;
    esac
done
cp Cargo.toml Cargo.lock "$work/crate"

# The bindings refuse a system without an Objective-C runtime unless told that it has GNUstep's.
# One attribute names a framework to link with, which rustc knows on Apple's systems alone.
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
