#!/bin/sh
# Both wheels, the pure one and the compiled one, must tell the same histories; takes some minutes and a C compiler.
set -eu
cd "$(dirname "$0")/.."
python=${1-.venv/bin/python}
if ! command -v cc > /dev/null || ! "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null; then
  echo "no C compiler, or no headers of Python: the compiled wheel is not tried"
  exit 0
fi
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
"$python" packaging/wheel.py "$wheels" --compiled
"$python" packaging/compare_builds.py "$wheels"/*-any.whl "$wheels"/*-linux_*.whl
