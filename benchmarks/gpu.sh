#!/usr/bin/env bash
# Trains on a CUDA device beside its rivals, in small and in large batches, and draws the losses beside those of the CPU.
# Usage: benchmarks/gpu.sh SHARDS [RESULTS] with SHARDS the folder that `python -m benchmarks.reviews shards HOME` names.
# With ETTH1 naming ETTh1.csv, forecasts are trained over five seeds as well; that needs the project itself. The rest needs
# torch with CUDA, numpy, pyarrow, pydantic, psutil, safetensors and matplotlib; PYTHON names the interpreter.
set -euo pipefail
shards=$(realpath "$1")
results=$(realpath "${2:-"$(dirname "$0")/results"}")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
device=$("$python" -c 'import torch; print(torch.cuda.get_device_name().lower().replace(" ", "-"))')
ending="${device}_$(date -u +%F).md"
train=("$python" -m benchmarks.training --device cuda --shards "$shards" --threads 8 --seconds 4 --rounds 5)
"${train[@]}" --curves --output "$results/training_$ending"
"${train[@]}" --batch-tokens 112000 --output "$results/training-large-batches_$ending"
if [ -n "${ETTH1:-}" ]; then
  "$python" -m benchmarks.forecast_quality "$(realpath "$ETTH1")" --seeds 1 2 3 4 5 --output "$results/forecast-quality_$ending"
fi
