"""The keepalived of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"  # of root, too


def installed_version() -> str:
    """Return the release that is installed, such as "2.2.7"; "" if none is."""
    program = shutil.which("keepalived", path=SEARCHED)
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"Keepalived v(\d+\.\d+\.\d+)", said.stderr + said.stdout)
    return found[1] if found else ""
