#!/usr/bin/env bash
# Checks the Python package in python/ and the tutorial: formatting, types, tests on files that the program writes.
# PyTorch is the distribution's where there is one, because that of PyPI brings gigabytes of libraries for GPUs.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages python3-venv
install_packages python3-torch || echo "no package python3-torch: PyTorch comes from PyPI"

environment="$PWD/target/python-package"
if ! "$environment/bin/python" -c "import spikegrid, torch, pandas, pynwb, nwbinspector, pynapple, zarr, pytest, mypy, nbclient, matplotlib" 2>/dev/null; then
    echo "installing the Python package and what its tests need into target/python-package"
    python=/usr/bin/python3
    "$python" -c "import torch" 2>/dev/null || python=python3
    # PyTorch 1 knows NumPy 1 only.
    numpy=$("$python" -c 'import torch; print("numpy<2" if torch.__version__ < "2" else "numpy")' 2>/dev/null || echo numpy)
    "$python" -m venv --clear --system-site-packages "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        "$numpy" pytest mypy ruff matplotlib nbclient ipykernel nwbinspector pynapple --editable "python[torch,pandas,nwb,zarr]"
fi

if [ -z "${SPIKEGRID_MPI:-}" ]; then
    cargo build
fi
export PATH="$environment/bin:$PATH"
cd python
ruff format --check
ruff check
mypy
timeout 900 pytest --quiet
