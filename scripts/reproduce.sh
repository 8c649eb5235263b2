#!/bin/sh
# Repeats the study (docs/study.md) and compares its numbers with those in results/study.
#
#   scripts/reproduce.sh [DIR] [OPTION]...
#
# Results go to DIR (default: reproduced); finished runs there are skipped. OPTIONs are those of
# `mdn compare`: `--data moons --model rad` runs a part. MDN names the binary (default: mdn). The
# whole study takes about two hours on two cores of a server. Exit code: 1 if a run is missing or a
# mean KL is outside the study's 95 % interval.
set -eu
cd "$(dirname "$0")/.."

MDN=${MDN:-mdn}
dir=reproduced
case ${1:-} in
    "" | -*) ;;
    *)
        dir=$1
        shift
        ;;
esac

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
"$MDN" compare experiments/study.toml --out "$dir" --figures overview --json "$@" >"$rows"

# Mean KL of every data set and model, from JSON with one key per line or on one line.
tr ',{}' '\n\n\n' <"$rows" | awk -F '": *' '
    function text(s) { gsub(/[" ]/, "", s); return s }
    /"data":/ { data = text($2) }
    /"model":/ { model = text($2) }
    /"metric":/ { metric = text($2) }
    /"mean":/ { mean = text($2) }
    { if (data != "" && model != "" && metric != "" && mean != "") {
        if (metric == "kl") print data "," model "," mean
        data = model = metric = mean = ""
    } }' | sort >"$rows.kl"
awk -F , '
    NR == FNR { again[$1 "," $2] = $3; wanted++; next }
    FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["metric"] == "kl" && ($1 "," $2) in again {
        found++
        now = again[$1 "," $2]
        then = $at["mean"]
        if (now == then) same++
        else if (now < $at["ci_low"] || now > $at["ci_high"]) {
            outside++
            print "reproduce: " $1 ", " $2 ": KL " now ", was " then > "/dev/stderr"
        }
    }
    END {
        printf "reproduce: of %d mean KLs %d are the same to the last digit, %d within the interval, %d outside\n",
            found, same, found - same - outside, outside
        exit !(found > 0 && found == wanted && outside == 0)
    }' "$rows.kl" results/study/summary.csv || code=$?
rm -f "$rows.kl"
exit "${code:-0}"
