#!/usr/bin/env bash
# Puts NVIDIA's compiler of CUDA 13.0, for builds with `--features cuda`, into target/cuda. It needs no GPU and no driver, only Python 3
# with venv, and some 150 MB of downloads from PyPI. Where NVCC, CUDA_HOME or CUDA_PATH is set, or nvcc is on the PATH, the build takes that.
set -euo pipefail
cd "$(dirname "$0")/.."

toolkit=target/cuda/toolkit
if ! "$toolkit/bin/nvcc" --version >/dev/null 2>&1; then
    python3 -m venv --clear target/cuda
    target/cuda/bin/python -m pip install --quiet --disable-pip-version-check \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
    packages="$(target/cuda/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
    ln -sfn "$packages/nvidia/cu13" "$toolkit"
fi
"$toolkit/bin/nvcc" --version | tail -n 2
