#!/bin/sh
# Trains the runs of an experiment under GNU parallel, one process per run and one thread per process.
#
#   scripts/parallel.sh FILE [KEY=VALUE]... [--out DIR] [--device DEVICE] [--kernels KERNELS]
#
# JOBS is the number of parallel processes (default: one per core), HOSTS a list for `parallel -S` of machines
# that share the folder, such as 8/node1,8/node2. MDN names the binary (default: mdn). FILE.joblog in the
# current folder records how each run ended: the same command repeats failed, killed and missing runs. Exit
# code: 0, 2 for a bad request, 3 if runs failed.
set -u

if [ $# -lt 1 ]; then
    echo "usage: scripts/parallel.sh FILE [KEY=VALUE]... [--out DIR] [--device DEVICE] [--kernels KERNELS]" >&2
    exit 2
fi
if ! command -v parallel >/dev/null; then
    echo "parallel.sh: expected GNU parallel on the path; got none (scripts/sweep.sh needs nothing)" >&2
    exit 2
fi

MDN=${MDN:-mdn}
export RAYON_NUM_THREADS="${RAYON_NUM_THREADS:-1}"
commands=$("$MDN" runs "$@" --commands) || exit $?
# The lines are quoted for a shell and start with `mdn `.
run=$(printf '%s' "$MDN" | sed "s/'/'\\\\''/g; s/.*/'&'/; s/[\\\\&|]/\\\\&/g")
log=$(basename "$1" .toml).joblog

failed=0
printf '%s\n' "$commands" | sed "s|^mdn |$run |" |
    parallel --jobs "${JOBS:-100%}" ${HOSTS:+-S "$HOSTS" --workdir . --env RAYON_NUM_THREADS} \
        --joblog "$log" --resume-failed --line-buffer || failed=$?
if [ "$failed" -ne 0 ]; then
    echo "parallel: runs failed or were interrupted (see $log); the same command goes on" >&2
    exit 3
fi
