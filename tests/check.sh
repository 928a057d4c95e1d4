#!/bin/sh
# Lint, types and tests; called by the README's test command. $1 is the folder of the tools (.venv/bin unless given);
# --quick, the loop that one works with, leaves out what is slow.
set -eu
cd "$(dirname "$0")/.."
workers=3 # for two cores: tests of real time wait
if [ "${1-}" = --quick ]; then
  workers=2
  shift
  set -- "${1-.venv/bin}" -m 'not slow'
else
  set -- "${1-.venv/bin}"
fi
tools=$1
shift
"$tools/ruff" format --check .
"$tools/ruff" check .
"$tools/mypy"
"$tools/pytest" -q -n "$workers" --durations=25 "$@"
