#!/bin/sh
# Kills two processes that share an experiment again and again with kill -9 at random times, lets them
# finish, and compares the results with those of an undisturbed sweep.
#
#   scripts/torture.sh [KILLS] [KEY=VALUE]...
#
# KILLS is 50 by default; KEY=VALUE changes scripts/torture.toml. MDN names the binary (default: mdn).
# Exit code 0: the same bytes and no leftover files.
set -eu

MDN=${MDN:-mdn}
file=$(dirname "$0")/torture.toml
kills=50
case ${1:-} in
    "" | *=*) ;;
    *)
        kills=$1
        shift
        ;;
esac

work=$(mktemp -d)
trap 'kill -9 $first $second 2>/dev/null || true; rm -rf "$work"' EXIT
first=
second=

start() {
    "$MDN" --quiet train "$file" "$@" --out "$work/disturbed" --checkpoint-every 0.05 --threads 1 \
        >"$work/out" 2>"$work/err" &
}

# From 0.05 to 0.80 seconds.
moment() { awk -v seed="$(od -An -N4 -tu4 /dev/urandom)" 'BEGIN { srand(seed); printf "%.2f", 0.05 + 0.75 * rand() }'; }

"$MDN" --quiet train "$file" "$@" --out "$work/undisturbed" >"$work/runs"

made=0
while [ "$made" -lt "$kills" ]; do
    [ -n "$first" ] && kill -0 "$first" 2>/dev/null || { start "$@"; first=$!; }
    [ -n "$second" ] && kill -0 "$second" 2>/dev/null || { start "$@"; second=$!; }
    sleep "$(moment)"
    # Kill the two in turn, and both every fifth time.
    case $((made % 5)) in
        0 | 2) victims=$first ;;
        1 | 3) victims=$second ;;
        *) victims="$first $second" ;;
    esac
    for victim in $victims; do
        if kill -9 "$victim" 2>/dev/null; then
            made=$((made + 1))
        fi
        wait "$victim" 2>/dev/null || true
    done
    done=$(cat "$work"/disturbed/torture/*/*/*/status 2>/dev/null | grep -c '^done' || true)
    if [ "$done" -eq "$(grep -c . "$work/runs")" ]; then
        echo "torture: all runs were done after $made of $kills kills (try train.steps=N with more steps)" >&2
        break
    fi
done
[ -n "$first" ] && wait "$first" 2>/dev/null || true
[ -n "$second" ] && wait "$second" 2>/dev/null || true
start "$@"
first=$!
start "$@"
second=$!
wait "$first" || { cat "$work/err" >&2; exit 1; }
wait "$second" || { cat "$work/err" >&2; exit 1; }

# cost.csv, environment.toml and the figures contain times and commands.
(cd "$work/undisturbed" && find . -type f ! -name cost.csv ! -name environment.toml ! -name '*.png' | sort) \
    >"$work/files"
(cd "$work/disturbed" && find . -type f ! -name cost.csv ! -name environment.toml ! -name '*.png' | sort) |
    diff "$work/files" - >&2
while IFS= read -r name; do
    cmp "$work/undisturbed/$name" "$work/disturbed/$name" >&2
done <"$work/files"
echo "torture: $(grep -c . "$work/runs") runs, $made kills: the same bytes in $(grep -c . "$work/files") files"
