#!/bin/sh
# Lint, types and tests; called by the README's test command. $1 is the folder of the tools.
set -eu
cd "$(dirname "$0")/.."
"$1/ruff" format --check .
"$1/ruff" check .
"$1/mypy"
"$1/pytest" -q -n 2
