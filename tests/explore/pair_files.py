"""Scenario files for the sweep: a pair whose failover time has a closed form."""

PAIR = """\
version: 1
name: pair
duration: {duration}
segments: {{lan: {{subnet: 192.168.50.0/24, delay: 30us}}}}
nodes:
  lb1:
    slop: none
    interfaces: {{eth0: {{segment: lan, address: 192.168.50.10/24}}}}
    processes: {{haproxy: {{serves: [80/tcp]}}}}
    keepalived: {one}
  lb2:
    slop: none
    interfaces: {{eth0: {{segment: lan, address: 192.168.50.20/24}}}}
    processes: {{haproxy: {{serves: [80/tcp]}}}}
    keepalived: {two}
clients:
  web: {{segment: lan, target: "192.168.50.108:80", every: 100ms}}
events:
  - {{name: crash, at: {{uniform: [{first}, {last}]}}, kill: lb1/haproxy}}
"""
CONFIG = """
      vrrp_scripts: {{chk: {{script: "pkill -0 haproxy", interval: 2, weight: 2}}}}
      vrrp_instances:
        VI_1: {{interface: eth0, virtual_router_id: 51, priority: {priority}, advert_int: {advert_int},
               version: {version}, virtual_ipaddress: [192.168.50.108], track_script: [chk]}}"""


def pair(*, advert_int=1, version=2, first="10s", last="14s", duration="22s", expect=""):
    one, two = (
        CONFIG.format(priority=priority, advert_int=advert_int, version=version) for priority in (101, 100)
    )
    text = PAIR.format(one=one, two=two, first=first, last=last, duration=duration)
    return text + (f"expect:\n{expect}" if expect else "")
