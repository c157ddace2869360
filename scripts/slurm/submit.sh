#!/bin/bash
# Submits array.sbatch with one task for each subject, and combine.sbatch to run when all tasks have ended.
#
#   INPUT_DIR=/data/fish OUTPUT_DIR=/data/grids scripts/slurm/submit.sh [options of sbatch, such as --time=02:00:00]
#
# The options go to the array; COMBINE_OPTIONS go to the job that combines. SBATCH_ACCOUNT and SBATCH_PARTITION reach both.
# TASKS=10 makes ten tasks, however many subjects there are; --array=1-40%8, as any option, runs eight at a time.
set -euo pipefail
scripts=$(dirname "$(realpath "$0")")
export INPUT_DIR=${INPUT_DIR:-raw_trace_data_2018} OUTPUT_DIR=${OUTPUT_DIR:-processed_spike_grids_2018}

subjects=$(find -L "$INPUT_DIR" -mindepth 1 -maxdepth 1 -type d -name 'subject_*' | wc -l)
if [ "$subjects" -eq 0 ]; then
    echo "$INPUT_DIR holds no folder subject_*; name the folder of your recordings with INPUT_DIR" >&2
    exit 2
fi
array=$(sbatch --parsable --array="1-${TASKS:-$subjects}" "$@" "$scripts/array.sbatch")
array=${array%%;*} # without the name of the cluster
echo "submitted array job $array for $subjects subjects"
read -ra combine_options <<<"${COMBINE_OPTIONS:-}"
combine=$(sbatch --parsable "${combine_options[@]}" --dependency="afterany:$array" --kill-on-invalid-dep=yes "$scripts/combine.sbatch")
echo "and job ${combine%%;*} to combine their metadata"
