#!/bin/sh
# Submits an experiment to Slurm: an array of tasks that train, and a comparison when all have ended.
#
#   scripts/slurm/submit.sh FILE [KEY=VALUE]... [OPTION of mdn train]...
#
# SHARES is the number of tasks (default: one a run, 1000 at most: clusters like tasks of hours, so give
# short runs few shares), AT_ONCE how many run at a time, SBATCH_OPTIONS goes to sbatch, such as
# "--partition=long --time=12:00:00 --cpus-per-task=4"; MDN names the binary (default: mdn). A task that is
# requeued, by Slurm or at its time limit, goes on from its checkpoints. The same command again trains
# what is left. Prints the numbers of the array and of the comparison.
set -eu

if [ $# -lt 1 ]; then
    echo "usage: scripts/slurm/submit.sh FILE [KEY=VALUE]... [OPTION of mdn train]..." >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
MDN=${MDN:-mdn}
export MDN
runs=$("$MDN" train "$@" --dry-run | grep -c .)
MDN_SHARES=${SHARES:-$((runs < 1000 ? runs : 1000))}
export MDN_SHARES

mkdir -p slurm
# shellcheck disable=SC2086 # several options
array=$(sbatch --parsable --array="0-$((MDN_SHARES - 1))${AT_ONCE:+%$AT_ONCE}" \
    --output=slurm/%x_%A_%a.out ${SBATCH_OPTIONS:-} "$here/train.sbatch" "$@")
# shellcheck disable=SC2086
compare=$(sbatch --parsable --job-name=mdn-compare --dependency="afterany:$array" --output=slurm/%x_%j.out \
    ${SBATCH_OPTIONS:-} "$here/compare.sbatch" "$@")
echo "$array $compare"
