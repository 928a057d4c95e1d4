"""VRRP5nn: scenario files."""

from .rule import ERROR, WARNING, Rule


def _scenario(instance: str = "", *, duration: str = "10s", host: int = 1, more: str = "") -> dict[str, str]:
    """Return a scenario of two nodes with keepalived's keywords in YAML."""

    def node(name: str, host: int, priority: int, extra: str) -> str:
        return (
            f"  {name}:\n"
            f"    interfaces: {{eth0: {{segment: lan, address: 192.0.2.{host}/24}}}}\n"
            "    keepalived:\n"
            "      vrrp_instances:\n"
            f"        VI_1: {{interface: eth0, virtual_router_id: 51, priority: {priority},{extra}\n"
            "               virtual_ipaddress: [192.0.2.100/24]}\n"
        )

    text = (
        "version: 1\n"
        f"duration: {duration}\n"
        "segments: {lan: {subnet: 192.0.2.0/24}}\n"
        "nodes:\n"
        + node("lb1", 2, 102, f" {instance}" if instance else "")
        + node("lb2", host, 101, "")
        + more
    )
    return {"pair.yaml": text}


RULES = (
    Rule(
        "VRRP501",
        "scenario-unusable",
        ERROR,
        "The scenario cannot be run as it stands.",
        bad=_scenario(duration="10 parsecs"),
        good=_scenario(),
        source="docs/scenario.md",
    ),
    Rule(
        "VRRP502",
        "address-on-two-nodes",
        WARNING,
        "Two nodes of a segment have one address: reality allows it, and suffers.",
        bad=_scenario(host=2),
        good=_scenario(),
        source="docs/scenario.md",
    ),
    Rule(
        "VRRP503",
        "source-not-on-node",
        WARNING,
        "The instance speaks from an address that its node does not have in the scenario.",
        bad=_scenario("mcast_src_ip: 192.0.2.9,"),
        good=_scenario("mcast_src_ip: 192.0.2.2,"),
        source="docs/scenario.md",
    ),
    Rule(
        "VRRP504",
        "tracked-interface-not-on-node",
        WARNING,
        "The instance tracks an interface that its node does not have in the scenario.",
        bad=_scenario("track_interface: [eth9],"),
        good=_scenario("track_interface: [],"),
        source="docs/scenario.md",
    ),
    Rule(
        "VRRP505",
        "client-asks-nobody",
        WARNING,
        "No node can have the address that the client asks, so it is never answered.",
        bad=_scenario(more='clients: {web: {segment: lan, target: "192.0.2.99:80"}}\n'),
        good=_scenario(more='clients: {web: {segment: lan, target: "192.0.2.100:80"}}\n'),
        source="docs/scenario.md",
    ),
    Rule(
        "VRRP506",
        "event-after-the-end",
        WARNING,
        "The event would happen when the run is over.",
        bad=_scenario(more="events: [{at: 11s, power_off: lb1}]\n"),
        good=_scenario(more="events: [{at: 9s, power_off: lb1}]\n"),
        source="docs/scenario.md",
    ),
)
