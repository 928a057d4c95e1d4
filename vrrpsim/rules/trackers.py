"""VRRP4nn: checks, tracked interfaces, files and processes."""

from .rule import ERROR, INFO, RAN, SAYS, SILENT, WARNING, Rule, block, instance, script, tracking

_FILE = 'file "/run/health"'

RULES = (
    Rule(
        "VRRP401",
        "tracker-not-defined-above",
        ERROR,
        "keepalived looks trackers up as it reads: one defined below, or nowhere, is dropped.",
        bad=instance(block("track_script", "chk")) + "\n" + script() + "\n",
        good=script() + "\n\n" + instance(block("track_script", "chk")),
        source=SAYS,
        fixable=True,
    ),
    Rule(
        "VRRP402",
        "no-shell",
        WARNING,
        "keepalived runs a check without a shell, so pipes, redirections and substitutions are arguments.",
        bad=tracking(before=script(command="/usr/bin/pgrep haproxy > /dev/null")),
        good=tracking(before=script(command="/usr/bin/pgrep haproxy")),
        source=SILENT,
    ),
    Rule(
        "VRRP403",
        "weight-dropped-for-owner",
        ERROR,
        "An address owner ignores trackers with a weight: its check never does anything.",
        bad=tracking("chk weight -20", also=("priority 255",)),
        good=tracking("chk weight -20", also=("priority 254",)),
        source=SAYS,
    ),
    Rule(
        "VRRP404",
        "weight-dropped-for-member",
        WARNING,
        "A sync group's member ignores its weighted trackers, unless sync_group_tracking_weight is set.",
        bad=tracking("chk weight -20")
        + instance("virtual_router_id 52", name="VI_2", vip="192.0.2.101/24")
        + block("vrrp_sync_group G", block("group", "VI_1", "VI_2"))
        + "\n",
        good=tracking("chk weight 0")
        + instance("virtual_router_id 52", name="VI_2", vip="192.0.2.101/24")
        + block("vrrp_sync_group G", block("group", "VI_1", "VI_2"))
        + "\n",
        source=SAYS,
    ),
    Rule(
        "VRRP410",
        "tracker-defined-twice",
        WARNING,
        "The first definition of a name is used, the second never.",
        bad=tracking(before=script() + "\n\n" + script("chk", "interval 2")),
        good=tracking(before=script("chk", "interval 2")),
        source=SILENT,
    ),
    Rule(
        "VRRP411",
        "words-behind-command",
        WARNING,
        "Only the first word, or what is quoted, is the command; quote it together with its parameters.",
        bad=tracking(before=block("vrrp_script chk", "script /usr/bin/pgrep haproxy")),
        good=tracking(before=block("vrrp_script chk", 'script "/usr/bin/pgrep haproxy"')),
        source=SILENT,
    ),
    Rule(
        "VRRP412",
        "weight-out-of-range",
        WARNING,
        "A weight is -253 to 253; keepalived reports it and uses it all the same.",
        bad=tracking(before=script("chk", "weight 300")),
        good=tracking(before=script("chk", "weight 200")),
        source=SAYS,
    ),
    Rule(
        "VRRP413",
        "weight-cut",
        WARNING,
        "The weight is cut to -253 or 253.",
        bad=tracking("chk weight 254"),
        good=tracking("chk weight 253"),
        source=SAYS,
    ),
    Rule(
        "VRRP414",
        "tracker-of-nothing",
        WARNING,
        "The tracker names no file or process and is removed.",
        bad=instance(before=block("track_file health", "weight 1")),
        good=instance(before=block("track_file health", _FILE, "weight 1")),
        source=SAYS,
    ),
    Rule(
        "VRRP415",
        "script-without-command",
        WARNING,
        "A vrrp_script without a script line is removed, and who tracks it is never checked.",
        bad=instance(before=block("vrrp_script chk", "interval 2")),
        good=instance(),
        source=SAYS,
    ),
    Rule(
        "VRRP416",
        "bfd-not-simulated",
        WARNING,
        "vrrpsim has no BFD; the tracker is left out of what it says.",
        bad=instance(
            block("track_bfd", "B"),
            before=block("bfd_instance B", "neighbor_ip 192.0.2.2", "source_ip 192.0.2.1"),
        ),
        good=instance(before=block("bfd_instance B", "neighbor_ip 192.0.2.2", "source_ip 192.0.2.1")),
        source="docs/model.md",
    ),
    Rule(
        "VRRP417",
        "init-fail-without-effect",
        INFO,
        "init_fail does nothing; a check of weight 0 keeps an unchecked node from being master.",
        bad=tracking(before=script("chk", "init_fail")),
        good=tracking(before=script("chk")),
        source="keepalived's vrrp_scheduler.c",
    ),
    Rule(
        "VRRP418",
        "script-unused",
        WARNING,
        "No instance or group tracks the script, so it is never run.",
        bad=instance(before=script()),
        good=tracking(),
        source=SILENT,
    ),
    Rule(
        "VRRP419",
        "tracks-own-interface",
        WARNING,
        "An instance watches its own interface anyway; the tracker is ignored, with its weight.",
        bad=instance(block("track_interface", "eth0 weight -20")),
        good=instance(block("track_interface", "eth1 weight -20")),
        source=SAYS,
    ),
    Rule(
        "VRRP420",
        "check-never-succeeds",
        WARNING,
        "The program takes its words otherwise than meant and fails every time, so the check is always down.",
        bad=tracking(before=script(command="/usr/bin/pidof haproxy")),
        good=tracking(before=script(command="/usr/bin/pgrep -x haproxy")),
        source=RAN,
    ),
)
