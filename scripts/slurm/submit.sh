#!/bin/sh
# Submits an experiment to Slurm: an array of training tasks, and a comparison after them.
#
#   scripts/slurm/submit.sh FILE [KEY=VALUE]... [OPTION of mdn train]...
#
# SHARES is the number of tasks (default: one per run, 1000 at most; use fewer for short runs, since clusters
# prefer tasks of hours), AT_ONCE how many run at a time, SBATCH_OPTIONS goes to sbatch, such as
# "--partition=long --time=12:00:00 --cpus-per-task=4". MDN names the binary (default: mdn). A task requeued by
# Slurm or at its time limit resumes from its checkpoints. The same command again trains missing runs. Prints
# the job ids of the array and of the comparison.
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
