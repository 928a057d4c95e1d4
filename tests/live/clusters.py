"""Configurations for test networks, the formulas that hold in them, and a way to run several at once."""

from concurrent.futures import ThreadPoolExecutor

VRID = 51
VIP, VIP6 = "10.77.0.100", "fd77::100"
EARLY_S, LATE_S = 0.005, 0.050
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

    Flavours: `v2-pass-unicast` and `v2` (1 s), `v3`, `v3-ipv6` and `v3-vmac` (100 ms).
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
        "v3": "version 3\nadvert_int 0.1",
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
    return 0.1 if flavour.startswith("v3") else 1.0


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


def together(stories):
    """Run functions at the same time, by name; all their failures in one."""
    with ThreadPoolExecutor(len(stories)) as pool:
        running = {name: pool.submit(story) for name, story in stories.items()}
    failures = [(name, job.exception()) for name, job in running.items() if job.exception() is not None]
    for name, failure in failures:
        failure.add_note(f"in {name}")
    if failures:
        raise ExceptionGroup(", ".join(name for name, _ in failures), [failure for _, failure in failures])
    return {name: job.result() for name, job in running.items()}
