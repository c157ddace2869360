#!/usr/bin/env bash
# Checks the Python package in python/ and the tutorial: formatting, types, tests on files that the program writes.
# PyTorch is Debian's where there is one, because that of PyPI brings gigabytes of GPU libraries.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages python3-venv python3-torch

environment="$PWD/target/python-package"
if ! "$environment/bin/python" -c "import spikegrid, torch, pandas, pynwb, zarr, pytest, mypy, nbclient, matplotlib" 2>/dev/null; then
    echo "installing the Python package and what its tests need into target/python-package"
    python=/usr/bin/python3
    "$python" -c "import torch" 2>/dev/null || python=python3
    "$python" -m venv --clear --system-site-packages "$environment"
    torch=torch numpy=numpy
    if version=$("$python" -c "import torch; print(torch.__version__)" 2>/dev/null); then
        torch=
        [[ "$version" == 1.* ]] && numpy="numpy<2"
    fi
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        "$numpy" $torch pytest mypy ruff matplotlib nbclient ipykernel --editable "python[pandas,nwb,zarr]"
fi

cargo build
export PATH="$environment/bin:$PATH"
cd python
ruff format --check
ruff check
mypy
timeout 900 pytest --quiet
