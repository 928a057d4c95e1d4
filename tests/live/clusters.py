"""Configurations for test networks, the formulas that hold in them, and a way to run several at once."""

import time
from concurrent.futures import ThreadPoolExecutor

from lan import mac
from witness import Witness

VRID = 51
VIP, VIP6 = "10.77.0.100", "fd77::100"
EARLY_S, LATE_S = 0.005, 0.050
STALL_S = 0.010  # a machine that stood still for so long may have made something late
ATTEMPTS = 3
CHECK = """
    global_defs {
        script_user root
    }
    vrrp_script chk_haproxy {
        script "pkill -0 haproxy"
        interval 1
        weight -60
    }
"""


def conf(number, priority, flavour, more=""):
    """keepalived.conf of node `number`.

    Flavours: `v2-pass-unicast`, `v2-ah` and `v2` (1 s), `v3`, `v3-ipv6` and `v3-vmac` (100 ms), `v3-calm`
    (300 ms, for what is exact about the order of things: no machine stands still for a whole second).
    """
    lines = {
        "v2-pass-unicast": f"""
            advert_int 1
            unicast_src_ip 10.77.0.{number}
            unicast_peer {{
              10.77.0.{3 - number}
            }}
            authentication {{
              auth_type PASS
              auth_pass s3cret
            }}""",
        "v2": "advert_int 1",
        "v2-ah": """
            advert_int 1
            authentication {
              auth_type AH
              auth_pass s3cret
            }""",
        "v3": "version 3\nadvert_int 0.1",
        "v3-calm": "version 3\nadvert_int 0.3",
        "v3-ipv6": "version 3\nadvert_int 0.1\nnative_ipv6",
        "v3-vmac": "version 3\nadvert_int 0.1\nuse_vmac",
    }[flavour]
    return f"""
        vrrp_instance VI_1 {{
            state BACKUP
            interface eth0
            virtual_router_id {VRID}
            priority {priority}
            {lines}
            virtual_ipaddress {{
              {vip_of(flavour)}
            }}
            {more}
        }}
        """


def checked(number, priority, flavour):
    """The same with a check of HAProxy that is worth 60."""
    return CHECK + conf(number, priority, flavour, "track_script {\n chk_haproxy\n }")


def vip_of(flavour):
    return VIP6 if flavour == "v3-ipv6" else VIP


def interval_s(flavour):
    return 0.3 if flavour == "v3-calm" else 0.1 if flavour.startswith("v3") else 1.0


def skew_s(flavour, priority):
    """RFC 9568 §6.1 and RFC 3768 §6.1."""
    return (256 - priority) / 256 * interval_s(flavour)


def down_s(flavour, priority):
    """Master_Down_Interval."""
    return 3 * interval_s(flavour) + skew_s(flavour, priority)


def settled(lan, owner, other, flavour):
    vip = vip_of(flavour)
    lan.wait(lambda: lan.owns(owner, vip) and not lan.owns(other, vip), f"{owner} alone owns {vip}")


def successor(adverts):
    """(last advert of the first sender, first advert of the next one)."""
    first = adverts[0].source
    senders = [advert.source for advert in adverts]
    assert set(senders) != {first}, f"only {first} was heard, {len(adverts)} times"
    later = next(index for index, sender in enumerate(senders) if sender != first)
    return adverts[later - 1], adverts[later]


def announced(lan, name, flavour):
    """How often a node has announced the address."""
    macs = {mac(lan.number(name)), f"00:00:5e:00:01:{VRID:02x}"}
    return lan.capture.announcements(vip_of(flavour), macs)


def together(folder, stories):
    """Run functions of a new folder at the same time, by name; all their failures in one.

    One that fails while the machine itself stood still is told again.
    """

    def tell(name, story):
        for attempt in range(1, ATTEMPTS + 1):
            began_s = time.time()
            try:
                return story(folder / f"{name}-{attempt}")
            except Exception as failure:
                stood_s = witness.longest_s(began_s)
                if stood_s < STALL_S or attempt == ATTEMPTS:
                    raise
                print(f"{name} again, for the machine stood still for {stood_s:.3f} s: {failure}"[:500])
        raise AssertionError

    with Witness(folder) as witness, ThreadPoolExecutor(len(stories)) as pool:
        running = {name: pool.submit(tell, name, story) for name, story in stories.items()}
    failures = [(name, job.exception()) for name, job in running.items() if job.exception() is not None]
    for name, failure in failures:
        failure.add_note(f"in {name}")
    if failures:
        raise ExceptionGroup(", ".join(name for name, _ in failures), [failure for _, failure in failures])
    return {name: job.result() for name, job in running.items()}
