#!/bin/sh
# The oldest dependencies that pyproject.toml allows are enough: a quick part of the tests in an environment of just these.
# $1 is the Python to ask (python3 unless given); `tests/oldest.sh python3.13 --newest` asks it with the newest ones.
set -eu
cd "$(dirname "$0")/.."
python=${1-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" - "${2-}" > "$folder/wanted" << 'END'
import re, sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
for wanted in (*project["dependencies"], *project["optional-dependencies"]["live"]):
    name, least = re.match(r"([\w.-]+)>=([\w.]+)", wanted).groups()
    print(f"{name}>={least}" if sys.argv[1] == "--newest" else f"{name}=={least}")
END
"$folder/venv/bin/pip" install -q -r "$folder/wanted" "pytest>=8.2" jsonschema
PYTHONPATH=$PWD
export PYTHONPATH
cp -r scenarios "$folder" # what is found is written beside the scenario
"$folder/venv/bin/python" -m vrrpsim hunt "$folder/scenarios/three-nodes-v3.yaml" --max-examples 5 -q > /dev/null || [ $? -le 1 ]
"$folder/venv/bin/python" -m pytest -q -p no:cacheprovider -W 'default::DeprecationWarning' \
  tests/protocol/test_fsm_rules.py tests/protocol/test_ah.py tests/test_digests.py tests/live/test_live_units.py
