#!/bin/sh
# Trains the runs of an experiment one after the other, each in its own process.
#
#   scripts/sweep.sh FILE [key=value]... [--out DIR] [--device DEVICE] [--kernels KERNELS]
#
# Continues after a failure. Finished runs are skipped, so the same command resumes. MDN names the
# binary (default: mdn). Exit code: 0, 2 for a bad request, 3 if runs failed.
set -u

if [ $# -lt 1 ]; then
    echo "usage: scripts/sweep.sh FILE [key=value]... [--out DIR] [--device DEVICE] [--kernels KERNELS]" >&2
    exit 2
fi

MDN=${MDN:-mdn}
commands=$("$MDN" runs "$@" --commands) || exit $?

all=0
failed=0
while IFS= read -r command; do
    all=$((all + 1))
    code=0
    # The lines are quoted for a shell.
    eval "\"\$MDN\" ${command#mdn }" </dev/null || code=$?
    if [ "$code" -ne 0 ]; then
        failed=$((failed + 1))
        echo "sweep: exit code $code: $command" >&2
    fi
done <<COMMANDS
$commands
COMMANDS

echo "sweep: $failed of $all runs failed" >&2
[ "$failed" -eq 0 ] || exit 3
