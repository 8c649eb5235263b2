#!/bin/sh
# Fills the disk of a running experiment, frees it and resumes; then makes the folder read-only. The
# final results must equal those of an undisturbed comparison.
#
#   scripts/full-disk.sh [KIB]...
#
# One disk per size; the default sizes range from no room for a status to no room for the last figure.
# MDN names the binary (default: mdn). The disks are file systems in memory, which need root or user
# namespaces. Exit code 0: every error named its file, no partial file remained and the final bytes
# are equal; 77: no disk can be mounted here.
set -eu

if [ -z "${MDN_OWN_MOUNTS:-}" ]; then
    for own in "-m" "-rm"; do
        if unshare $own sh -c 'mount -t tmpfs tmpfs /mnt' 2>/dev/null; then
            MDN_OWN_MOUNTS=yes exec unshare $own "$0" "$@"
        fi
    done
    echo "full-disk: skipped, no file system can be mounted here" >&2
    exit 77
fi

MDN=${MDN:-mdn}
[ $# -gt 0 ] || set -- 8 24 60 120 250 500 900 1300 1800 2500
work=$(mktemp -d)
trap 'cd /; umount "$work/disk" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/disk"
cd "$work"
cat >full.toml <<'TOML'
seeds = [0]
train = { steps = 200, batch_size = 128, points = 2000, validation_points = 500, validate_every = 10 }
evaluation = { points = 1000, grid = 50 }
data.ring.ring = {}
models.rad.rad = {}
[models.mixture.flow]
bijection.affine_coupling = { layers = 4, hidden = [64, 64] }
base.mixture = { components = 8, init = "data" }
TOML

# Write a checkpoint as often as possible.
compare() { "$MDN" compare full.toml --checkpoint-every 0.01 --out "$@" >out 2>err; }

# Compare all files except those with times and commands.
same() {
    (cd undisturbed && find . -type f ! -name cost.csv ! -name environment.toml ! -name summary.csv \
        ! -name summary.md ! -name runs.csv ! -name report.html ! -name '*.png' ! -name '*.svg' | sort) >files
    while IFS= read -r name; do
        cmp "undisturbed/$name" "disk/out/$name" >&2
    done <files
}

compare undisturbed || { cat err >&2; exit 1; }

failed() {
    echo "full-disk: $1; it said" >&2
    cat err >&2
    exit 1
}

for size in "$@"; do
    mount -t tmpfs -o "size=${size}k" tmpfs disk
    if compare disk/out; then
        failed "$size KiB are enough for all"
    fi
    grep -q '^error: .*could not .*No space left on device.*free some space' err || failed "$size KiB: no clear error"
    grep -q 'panicked' err && failed "$size KiB: a panic"
    if find disk -name '.mdn-*' | grep -q .; then
        failed "$size KiB: half a file was left"
    fi
    mount -o remount,size=256m disk
    compare disk/out || failed "$size KiB: it did not go on"
    same
    umount disk
    echo "full-disk: $size KiB: a clear error, then the same bytes in $(grep -c . files) files"
done

mount -t tmpfs tmpfs disk
"$MDN" --quiet train full.toml --model rad --out disk/out >out 2>err
mount -o remount,ro disk
if compare disk/out; then
    failed "a read-only folder was written"
fi
grep -q '^error: .*Read-only file system.*--out' err || failed "read-only: no clear error"
mount -o remount,rw disk
compare disk/out || failed "read-only: it did not go on"
same
umount disk
echo "full-disk: read-only: a clear error, then the same bytes in $(grep -c . files) files"
