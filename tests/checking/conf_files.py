"""Configurations for the tests of `check`."""

from vrrpsim.rules.rule import block, instance, script

TYPO = instance("prioriy 150")  # VRRP114, a warning
CLEAN = instance("priority 150")


def node(vip="192.0.2.100/24", *lines, vrid=51, priority=100):
    """One instance; its last address is `vip`."""
    return instance(f"virtual_router_id {vrid}", f"priority {priority}", *lines, vip=vip)


def peers(own, *others):
    return f"unicast_src_ip {own}", block("unicast_peer", *others)


def write(folder, **files):
    """Write texts as NAME.conf; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.conf").write_text(text, encoding="utf-8")
    return [folder / f"{name}.conf" for name in files]


def codes(report):
    return [finding.code for finding in report.findings]


__all__ = ["CLEAN", "TYPO", "block", "codes", "instance", "node", "peers", "script", "write"]
