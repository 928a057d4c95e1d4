"""Clusters of two or three nodes with any keywords of the engine and any events: sensible or not."""

from __future__ import annotations

from random import Random
from typing import Any

from vrrpsim.scenario.verbs import VERBS

VIPS = ("10.77.0.100", "10.77.0.101")
VIPS6 = ("fe80::100", "2001:db8::100")
DIALECTS = (
    *("keepalived-2.2.7",) * 4,
    "keepalived-2.0.20",
    "keepalived-2.2.8",
    "keepalived-2.3.3",
    "keepalived-2.4.3",
    "rfc5798",
    "rfc9568",
    "frr-8.4",
)
KEYWORDS: dict[str, tuple[Any, ...]] = {  # of an instance; each is there in every fifth cluster
    "nopreempt": (True,),
    "preempt_delay": (1, 3, 10),
    "advert_int": (1, 2, 3),
    "garp_master_refresh": (2, 5),
    "garp_master_refresh_repeat": (2,),
    "garp_master_repeat": (1, 3),
    "garp_master_delay": (1, 3),
    "garp_lower_prio_repeat": (0, 2),
    "garp_lower_prio_delay": (0, 2),
    "lower_prio_no_advert": (True,),
    "higher_prio_send_advert": (True,),
    "down_timer_adverts": (2, 5),
    "dont_track_primary": (True,),
    "track_interface": (["eth1"], ["eth1 weight -20"], ["eth1 weight 15 reverse"]),
    "track_file": (["level weight 10"], ["level weight 0"], ["level weight -5 reverse"]),
    "track_process": (["proxy weight 7"], ["proxy"]),
    "track_bfd": (["peer weight -20"], ["peer"]),
    "use_vmac": (True,),
    "vmac_xmit_base": (True,),
    "no_accept": (True,),
    "strict_mode": (False, True),
    "check_unicast_src": (True,),
    "unicast_ttl": (64,),
    "skip_check_adv_addr": (True,),
    "notify_priority_changes": (True,),
    "notify_master": ("systemctl start haproxy",),
    "notify_backup": ("pkill -x haproxy", "/opt/told"),
    "notify_fault": ("killall -9 haproxy",),
    "virtual_routes": (["203.0.113.0/24 via 10.78.0.9 dev eth1"],),
    "virtual_ipaddress_excluded": (["10.77.0.120"],),
    "authentication": ({"auth_type": "PASS", "auth_pass": "x1"}, {"auth_type": "AH", "auth_pass": "x1"}),
    "thread_timer_expired": (),
}
GLOBALS: dict[str, tuple[Any, ...]] = {
    "vrrp_startup_delay": (2, 5),
    "vrrp_strict": (True,),
    "vrrp_garp_interval": (0.01,),
    "vrrp_lower_prio_no_advert": (True,),
    "vrrp_notify_priority_changes": (True,),
    "log_unknown_vrids": (True,),
    "vrrp_garp_master_refresh": (4,),
}
NEEDS = {  # a block of the daemon
    **dict.fromkeys(("hang", "fail", "pass"), "vrrp_scripts"),
    **dict.fromkeys(("bfd_down", "bfd_up"), "bfd_instances"),
    "write": "track_files",
}
CHECKS = (
    "pkill -0 haproxy",
    "pidof haproxy",
    "curl -m 1 -sf http://127.0.0.1/",
    "curl -m 1 -sf http://10.77.0.100/",
    "ping -c 1 -W 1 10.77.0.1",
    "nc -z -w 1 10.77.0.2 80",
    "sh -c 'kill -0 $(cat /run/haproxy.pid)'",
    "/opt/own",
)


def wild_scenario(seed: int) -> dict[str, Any]:
    """Return the document of a seed."""
    draw = Random(f"wild/{seed}")
    names = ("n1", "n2", "n3")[: draw.choice((2, 2, 3))]
    shared, router = _shared(draw), draw.choice(("4", "4", "4", "6", "two", "group"))
    nodes = {name: _node(draw, number, name, names, shared, router) for number, name in enumerate(names, 1)}
    if draw.random() < 0.2:
        nodes["gw"] = {"interfaces": {"eth0": {"segment": "lan", "address": _address(router, "254")}}}
    lan = {"subnet": _address(router, "0") + ("/24" if router != "6" else "/64")}
    if draw.random() < 0.2:
        lan["loss"] = draw.choice(("1%", "10%", "40%"))
    vip = f"{VIPS[0]}:80" if router != "6" else f"[{VIPS6[1]}]:80"
    return {
        "version": 1,
        "duration": "20s",
        "seed": seed,
        "dialect": draw.choice(DIALECTS),
        "segments": {"lan": lan, "back": {"subnet": "10.78.0.0/24"}},
        "nodes": nodes,
        "clients": {"web": {"segment": "lan", "target": vip}},
        "events": [_event(draw, nodes, router) for _ in range(draw.choice((1, 2, 2, 3, 5)))],
    } | ({"age": draw.choice(("30s", "2m"))} if draw.random() < 0.05 else {})


def _address(router: str, host: str) -> str:
    if router != "6":
        return f"10.77.0.{host}"
    return f"2001:db8::{host}" if host != "0" else "2001:db8::"


def _some(draw: Random, table: dict[str, tuple[Any, ...]], share: float) -> dict[str, Any]:
    return {word: draw.choice(values) for word, values in table.items() if values and draw.random() < share}


def _shared(draw: Random) -> dict[str, Any]:
    words = _some(draw, KEYWORDS, draw.choice((0.03, 0.1, 0.2)))
    if draw.random() < 0.3:
        words["version"] = 3
        words.pop("authentication", None)
    return words


def _node(
    draw: Random, number: int, name: str, names: tuple[str, ...], shared: dict[str, Any], router: str
) -> dict[str, Any]:
    own = {**shared, **(_some(draw, KEYWORDS, 0.03) if draw.random() < 0.1 else {})}
    own |= {
        "interface": "eth0",
        "virtual_router_id": 51,
        "priority": draw.choice((50, 99, 100, 100, 101, 110, 150, 254, 255)),
        "state": draw.choice(("MASTER", "BACKUP", "BACKUP")),
        "virtual_ipaddress": [VIPS[0]] if router != "6" else list(VIPS6),
    }
    if router == "6":
        own |= {"version": 3}
        own.pop("authentication", None)
        own.pop("virtual_ipaddress_excluded", None)
    elif draw.random() < 0.4:
        peers = [f"10.77.0.{other}" for other in range(1, len(names) + 1) if other != number]
        own |= {"unicast_src_ip": f"10.77.0.{number}", "unicast_peer": peers}
    scripts = {}
    if draw.random() < 0.6:
        scripts["chk"] = {"script": draw.choice(CHECKS), "interval": draw.choice((1, 2, 3))} | _some(
            draw, {"weight": (2, -20, 5), "fall": (2, 3), "rise": (2, 3), "timeout": (1, 2)}, 0.4
        )
        own["track_script"] = ["chk"]
    daemon: dict[str, Any] = {"global_defs": _some(draw, GLOBALS, 0.05), "vrrp_scripts": scripts}
    if "track_file" in own:
        daemon["track_files"] = {"level": {"file": "/run/level", "init_file": "1"}}
    if "track_process" in own:
        daemon["vrrp_track_processes"] = {"proxy": {"process": "haproxy"}}
    if "track_bfd" in own:
        neighbor = {"neighbor_ip": _address(router, str(number % len(names) + 1)), "multiplier": 3}
        daemon["bfd_instances"] = {"peer": neighbor | draw.choice(({}, {"min_rx": 200, "min_tx": 100}))}
    daemon["vrrp_instances"] = {"VI_1": own}
    if router in ("two", "group"):
        other = own | {
            "virtual_router_id": 52,
            "priority": 300 - own["priority"] if own["priority"] > 45 else 100,
        }
        other["priority"] = min(max(other["priority"], 1), 254)
        daemon["vrrp_instances"]["VI_2"] = other | {"virtual_ipaddress": [VIPS[1]]}
    if router == "group":
        daemon["vrrp_sync_groups"] = {"G": {"group": ["VI_1", "VI_2"]}}
    starts = draw.choice(("0s", "300ms", {"uniform": ["0s", "3s"]}))
    return {
        "interfaces": {
            "eth0": {"segment": "lan", "address": _address(router, str(number))},
            "eth1": {"segment": "back", "address": f"10.78.0.{number}/24"},
        },
        "processes": {"haproxy": {"serves": ["80/tcp"]}},
        "slop": draw.choice(("none", "default", "default")),
        "keepalived": {"starts": starts, **{key: value for key, value in daemon.items() if value}},
    }


def _event(draw: Random, nodes: dict[str, Any], router: str) -> dict[str, Any]:
    """Any verb, at any time, now and then undone."""
    names = [name for name in nodes if name != "gw"]
    node = draw.choice((*names, "master(VI_1)", "backup(VI_1)"))
    fixed = draw.choice(names)
    has = nodes[fixed]["keepalived"]
    verb = draw.choice([verb for verb in sorted(VERBS) if NEEDS.get(verb, "vrrp_instances") in has])
    event: dict[str, Any] = {"at": f"{draw.uniform(0, 16):.3f}s"}
    process = draw.choice((f"{node}/haproxy", f"{node}/keepalived"))
    targets: dict[str, Any] = {
        "kill": process, "stop": process, "start": process, "restart": process, "freeze": process,
        "thaw": process, "reload": node, "power_off": node, "power_on": fixed, "pause": node,
        "link_down": f"{node}/eth0", "link_up": f"{fixed}/eth0", "set_down": f"{node}/eth0",
        "set_up": f"{fixed}/eth1", "delete_interface": f"{node}/eth0",
        "create_interface": f"{fixed}/eth0",
        "partition": [[fixed], [each for each in names if each != fixed]],
        "impair": "lan", "hang": f"{fixed}/chk", "fail": f"{fixed}/chk",
        "pass": f"{fixed}/chk", "starve": node, "flush_address": fixed, "add_address": f"{fixed}/eth0",
        "set": f"{fixed}/VI_1", "bfd_down": f"{fixed}/peer", "bfd_up": f"{fixed}/peer",
        "write": f"{fixed}/level", "inject": "lan",
    }  # fmt: skip
    event[verb] = targets[verb]
    match verb:
        case "impair":
            event |= draw.choice(
                ({"loss": "50%"}, {"delay": "30ms"}, {"duplicate": "50%"}, {"reorder": "30%", "delay": "5ms"})
            )
        case "starve":
            event["delay"] = draw.choice(("50ms", "2s"))
        case "flush_address":
            vip = VIPS[0] if router != "6" else VIPS6[1]
            event["address"] = draw.choice((vip, _address(router, str(names.index(fixed) + 1))))
        case "add_address":
            event["address"] = _address(router, draw.choice(("60", "100"))) + (
                "/24" if router != "6" else "/64"
            )
        case "set":
            event["priority"] = draw.randint(1, 254)
        case "write":
            event["value"] = draw.randint(-300, 300)
        case "inject":
            event["advert"] = {"vrid": 51, "priority": draw.choice((0, 1, 100, 255))}
        case "partition":
            event["one_way"] = draw.random() < 0.3
    if VERBS[verb].lasts and (draw.random() < 0.7 or verb == "pause"):
        event["for"] = f"{draw.uniform(0.05, 12):.3f}s"
    return event
