#!/bin/bash
# Fuzzes the readers of mdn, one target after the other on one core, and keeps the corpus.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]     600 seconds each, all targets of fuzz/Cargo.toml;
#                                             0: only minimises the corpus
#
# Needs cargo-fuzz (`cargo install cargo-fuzz --locked`) and the stable toolchain. A finding (panic, 20 s for
# one input, 4 GB of memory) ends its target: the input is in fuzz/artifacts/TARGET/ and the exit code is
# 1. After the fix, move the input to fuzz/regressions/TARGET/, which `cargo test --test it corpus` replays
# together with the corpus.
#
# A target without a finding writes its minimised corpus, at most 120 inputs, to fuzz/corpus/TARGET/, and one
# line to stdout, a row of the table in fuzz/README.md. fuzz/target/campaign/ keeps all inputs for the next
# campaign, and the logs.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=600
case "${1:-}" in
    '' | *[!0-9]*) ;;
    *) seconds=$1; shift ;;
esac
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
fi

# Maximum input length in bytes; shorter than libFuzzer's default where that reaches as much.
length() {
    case $1 in
        experiment | study | overrides) echo 6000 ;;
        checkpoint | weights | run) echo 20000 ;;
        *) echo 4096 ;;
    esac
}

# libFuzzer's len_control: how slowly input lengths grow; 0 (at once) where all seeds are short.
patience() {
    case $1 in
        overrides) echo 0 ;;
        *) echo 100 ;;
    esac
}

dictionary() {
    case $1 in
        experiment | overrides | study) echo toml ;;
        *) echo numbers ;;
    esac
}

# Targets write to a file system in memory if there is one.
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" mdn-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch RAYON_NUM_THREADS=1

nice -n 5 cargo +stable fuzz build --sanitizer none >&2
host=$(rustc +stable -vV | sed -n 's/^host: //p')
binaries=fuzz/target/$host/release

found=0
for target in "$@"; do
    kept=fuzz/corpus/$target
    work=fuzz/target/campaign/$target
    log=$work.log
    seeds=$scratch/seeds-$target
    artifacts=fuzz/artifacts/$target/
    mkdir -p "$kept" "$work" "$artifacts" "$seeds"
    fuzz=(nice -n 5 "$binaries/$target" -timeout=20 -rss_limit_mb=4096)
    MDN_FUZZ_SEEDS=$seeds "${fuzz[@]}" -runs=0 2>/dev/null
    if [ "$seconds" -gt 0 ] && ! "${fuzz[@]}" "$work" "$kept" "$seeds" -print_final_stats=1 \
        -max_total_time="$seconds" -max_len="$(length "$target")" -artifact_prefix="$artifacts" \
        -len_control="$(patience "$target")" -dict="fuzz/dictionaries/$(dictionary "$target").dict" 2>"$log"; then
        echo "$target: a finding, in $artifacts (see $log)" >&2
        tail -n 20 "$log" >&2
        found=1
        continue
    fi
    # The fewest inputs that reach every edge missed by the seeds, best first.
    small=$scratch/$target
    cp -r "$seeds" "$small"
    "${fuzz[@]}" -set_cover_merge=1 -use_counters=0 -max_len=1500 "$small" "$kept" "$work" \
        >>"$log" 2>&1
    (cd "$seeds" && ls) | (cd "$small" && xargs rm -f --)
    rm -rf "$kept"
    mkdir "$kept"
    # shellcheck disable=SC2012
    ls -tr "$small" | head -n 120 | (cd "$small" && xargs cp -t "$OLDPWD/$kept" --)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    covered=$(sed -n 's/^#[0-9]*[[:space:]]*DONE *cov: \([0-9]*\).*/\1/p' "$log" | head -n 1)
    files=$(find "$kept" -type f | wc -l)
    bytes=$(cat "$kept"/* | wc -c)
    echo "| \`$target\` | $seconds | $runs | $covered | $files ($bytes bytes) |"
done
exit "$found"
