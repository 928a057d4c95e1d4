"""A pair with adverts every 100 ms, as a scenario file for the lab; and why real ones cannot run here."""

import os
import shutil
import subprocess
import sys

import pytest

NODE = """\
  {name}:
    interfaces: {{eth0: {{segment: lan, address: 192.168.50.{host}/24}}}}
    processes: {{haproxy: {{serves: [80/tcp]}}, relay: {{serves: [7000/tcp]}}}}
    keepalived:
      vrrp_scripts: {{chk: {{script: "pkill -0 haproxy", interval: 1, weight: 10}}}}
      vrrp_instances:
        VI: {{interface: eth0, virtual_router_id: 5, priority: {priority}, version: 3, advert_int: 0.1,
             virtual_ipaddress: [192.168.50.108/24], track_script: [chk]}}
"""


def pair(folder, *, duration, events="", expect="", every="20ms"):
    """Write the scenario: lb1 is the stronger one, `web` asks port 80."""
    text = f"""\
version: 1
name: lab-pair
duration: {duration}
segments: {{lan: {{subnet: 192.168.50.0/24}}}}
nodes:
{NODE.format(name="lb1", host=10, priority=101)}{NODE.format(name="lb2", host=20, priority=100)}
clients:
  web: {{segment: lan, target: "192.168.50.108:80", every: {every}, timeout: 200ms}}
  tcp: {{segment: lan, target: "192.168.50.108:7000", every: 200ms, timeout: 500ms}}
"""
    text += f"events:\n{events}" if events else ""
    text += f"expect:\n{expect}" if expect else ""
    path = folder / "pair.yaml"
    path.write_text(text)
    return path


def lab(*words, **options):
    """Run `vrrpsim lab` as a user does."""
    words = [sys.executable, "-m", "vrrpsim", "lab", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, **options)


def why_not():
    """The reason for which real runs cannot be had here, or the empty string."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root"
    for program in ("keepalived", "haproxy", "nft", "unshare"):
        if shutil.which(program) is None:
            return f"needs {program}"
    try:
        import pyroute2  # noqa: F401
    except ImportError:
        return "needs pyroute2"
    words = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "true"]
    made = subprocess.run(words, capture_output=True, check=False)
    return "" if made.returncode == 0 else "cannot make namespaces"


needs_namespaces = pytest.mark.skipif(bool(reason := why_not()), reason=f"the lab: {reason}")
