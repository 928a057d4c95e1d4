"""docs/scenario.md, from the JSON Schema of scenarios: what an editor completes is what the page says."""

# ruff: noqa: E501  # rows of tables
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vrrpsim.keepalived.keywords.tables import ROOT
from vrrpsim.scenario.file import scalars
from vrrpsim.scenario.file.fields import NAME_PATTERN
from vrrpsim.scenario.file.format import EFFECT_PATTERN
from vrrpsim.scenario.file.inline_config import BLOCKS
from vrrpsim.scenario.file.json_schema import scenario_schema
from vrrpsim.scenario.verbs import VERBS

HEAD = """\
# The scenario file

Version 1, YAML. Generated from the JSON Schema that `vrrpsim schema` prints, by `python docs/generate.py`;
put that schema into your editor and it completes and checks what stands here. A wrong or unknown key is an
error with file, line and column, all errors at once, exit code 3.

```yaml
version: 1
duration: 45s
segments:
  lan: {subnet: 192.168.50.0/24}
nodes:
  lb1:
    interfaces: {eth0: {segment: lan, address: 192.168.50.10/24}}
    processes: {haproxy: {serves: [80/tcp]}}
    keepalived: {file: keepalived/lb1.conf}
  lb2:
    interfaces: {eth0: {segment: lan, address: 192.168.50.20/24}}
    processes: {haproxy: {serves: [80/tcp]}}
    keepalived: {file: keepalived/lb2.conf}
clients:
  web: {segment: lan, target: "192.168.50.108:80"}
events:
  - {at: {uniform: [20s, 24s]}, kill: lb1/haproxy}
expect:
  outage: {max: 6s}
```

`vrrpsim init lb1.conf lb2.conf -o my.yaml` writes such a file for your own cluster. `--set PATH=VALUE` changes one
value of it for a run: `--set segments.lan.loss=10%`, `--set nodes.lb1.processes.haproxy.startup=12s`.
Keywords of keepalived.conf are reached by node, block and keyword, in a file as inline: `--set lb1.VI_1.advert_int=0.5`,
`--vary '*.chk_haproxy.fall=1,2,3'`.

## Values

| written | means |
|---|---|
| duration | `250us`, `10ms`, `2s`, `1m30s`; a bare number is seconds, as in keepalived.conf. At most a year. |
| distribution | A duration, or `{uniform: [a, b]}`, `{normal: [mean, sd]}`, `{lognormal: [median, p99]}`, \
`{exponential: mean}`, `{choice: [a, b, …]}`. Drawn from a stream of its own: the seed and the place decide. |
| share | `10%` or `0.1`. A bare `10` is refused, because it could mean either. |
| target | `lb1`, `lb1/haproxy`, `lb1/keepalived`, `lb1/eth0`, `lb1/chk_haproxy`, `lan`; or by role, resolved when the \
event fires: `master`, `backup`, `master/haproxy`, `master(VI_1)/eth0`. |
| name | Letters, digits, `_ . : -`; at most 60. |
"""
BESIDE = """\
Beside these stand keepalived.conf's blocks and keywords, one to one: a flag is `true`, seconds are durations,
words and lines are a list or a mapping, and a password of digits must be quoted. `vrrpsim check` says which of them
are read but have no effect here.
"""
CHECKS = """\
### What a check sees

The command of a `vrrp_script` decides what it looks at. `pkill -0 X`, `killall -0 X`, `pgrep X`, `ps -C X`,
`systemctl is-active X`, `service X status` and, in a shell, `pidof X` and `kill -0 $(cat …X.pid)`: whether the
process X exists, and a frozen one does. `curl`, `wget`, `nc`, `/dev/tcp/HOST/PORT`, `mysqladmin`, `pg_isready`,
`redis-cli`: whether the port answers, here or wherever the address is, through the network as it is then; `ping`:
whether the machine does. What can never succeed (`pidof` without a shell, `pgrep X > /dev/null`, options that do
not exist) fails in the run as `check` says it does. Anything else needs a probe, or it always succeeds, and
the run says so; so does a request to an address that nobody in the scenario has.
"""
NOTIFIED = """\
`notify: {takes: {lognormal: [80ms, 2s]}, does: {master: [start haproxy], backup: [stop haproxy]}}`. keepalived starts
a notify script at each transition and does not wait for it, so two may end in the wrong order; who said MASTER last is
a lane of the reports and the invariant `notify-agrees` of a hunt. Without `does`, a command that says itself what it
does (`systemctl start haproxy`, `pkill -x haproxy`, `/usr/sbin/haproxy …`) does that; what others do is not known,
and the run says so.
"""
KINDS = {  # what a pattern of the schema is called
    scalars.TARGET_PATTERN: "target",
    EFFECT_PATTERN: "`start`, `stop`, `kill`, `restart` or `reload` and a process",
    scalars.END_PATTERN: "`sw1`, `lb1/eth0`, `web`",
    scalars.PORT_PATTERN: "port, `80/tcp`",
    scalars.MAC_PATTERN: "MAC address",
    scalars.ADDRESS_PATTERN: "IP address",
    scalars.PREFIX_PATTERN: "address or network with `/length`",
    scalars.ENDPOINT_PATTERN: '`"10.0.0.1:80"`',
    scalars.ASKED_PATTERN: 'IP address, `"10.0.0.1:80"`',
    NAME_PATTERN: "name",
}
SHAPES = {  # what a whole shape is called
    "duration": scalars.DURATION_SCHEMA,
    "duration, not 0": scalars.POSITIVE_SCHEMA,
    "share": scalars.FRACTION_SCHEMA,
    "distribution": scalars.DISTRIBUTION_SCHEMA,
    "distribution or `manual`": scalars.STARTS_SCHEMA,
    "distribution, or `{after: NAME, plus: …}`": scalars.AT_SCHEMA,
    "distribution, not 0": scalars.INTERVAL_SCHEMA,
}
ORDER = (
    ("Scenario", "The file"),
    ("Segment", "Segments"),
    ("Switch", "Switches"),
    ("Snooping", "Snooping"),
    ("Cable", "Cables"),
    ("Node", "Nodes"),
    ("Interface", "Interfaces of a node"),
    ("Process", "Processes of a node"),
    ("KeepalivedFile", "keepalived from a file"),
    ("KeepalivedInline", "keepalived in the scenario"),
    ("Probe", "Probes"),
    ("Notify", "Notify scripts"),
    ("NotifyEffects", "What notify scripts do"),
    ("HostLatency", "Slop"),
    ("Stalls", "Stalls"),
    ("Neighbours", "Neighbours"),
    ("Client", "Clients"),
)
COMMON = ("at", "name", "every", "count", "for")


def page() -> str:
    """Return docs/scenario.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    schema = scenario_schema()
    definitions = {"Scenario": schema, **schema["$defs"]}
    yield HEAD
    for name, title in ORDER:
        yield f"## {title}\n"
        yield f"{definitions[name]['description']}\n"
        if name == "KeepalivedInline":
            yield from _inline(definitions)
        else:
            yield from _table(definitions[name])
        if name == "Probe":
            yield CHECKS
        if name == "NotifyEffects":
            yield NOTIFIED
    yield from _events(definitions)
    yield "## Expectations\n"
    unjudged = "Where nothing exercised an expectation the verdict is `unknown`, where nothing is expected there is none."
    yield f"{definitions['Expect']['description']} {unjudged}\n"
    yield from _table(definitions["Expect"])
    yield "Limits of a time, and of a count:\n"
    yield from _table(definitions["Bound"])


def _table(definition: dict[str, Any], leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    required = definition.get("required", ())
    yield "| key | takes | default | what it is |"
    yield "|---|---|---|---|"
    for key, value in definition["properties"].items():
        if key not in leave_out:
            default = "**required**" if key in required else _default(value)
            yield f"| `{key}` | {_takes(value)} | {default} | {_cell(value.get('description', ''))} |"
    yield ""


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if isinstance(default, dict):
        [(kind, values)] = default.items()
        return f"`{{{kind}: [{', '.join(values)}]}}`"
    if isinstance(default, float):
        default = f"{default:g}"
    if default is None or default in ("", [], {}):
        return "–"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _takes(value: dict[str, Any]) -> str:
    """Say in words what a schema accepts."""
    if value.get("type") == "array" and len(value["items"].get("oneOf", ())) == len(VERBS):
        return "list of [events](#events)"
    options = value.get("anyOf") or value.get("oneOf")
    if "$ref" in value:
        return _named(value["$ref"].rpartition("/")[2])
    if options is not None:
        return _one_of(options)
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if value.get("type") == "array":
        return f"list of {_takes(value['items'])}"
    if value.get("type") == "object":
        inner = [*value.get("patternProperties", {}).values(), value.get("additionalProperties")]
        names = "times" if "^end$" in str(value.get("patternProperties")) else "names"
        return f"mapping of {names} to {_takes(inner[0])}" if inner[0] else "mapping"
    if value.get("type") == "string":
        return KINDS[value["pattern"]] if value.get("pattern") in KINDS else "text"
    if value.get("type") in ("integer", "number"):
        return _number(value)
    return "true or false" if value.get("type") == "boolean" else "a word or a number"


def _named(name: str) -> str:
    if name in ("Duration", "Distribution"):
        return name.lower()
    title = dict(ORDER).get(name) or {
        "Bound": "Expectations",
        "Count": "Expectations",
        "Expect": "Expectations",
    }.get(name)
    words = {"Bound": "limits of a time", "Count": "limits of a count", "Advert": "an advert"}
    shown = words.get(name, title.lower() if title else f"`{name}`")
    return f"[{shown}](#{title.lower().replace(' ', '-')})" if title else shown


def _one_of(options: list[dict[str, Any]]) -> str:
    for words, shape in SHAPES.items():
        if _bare(options) == _bare(shape["anyOf"]):
            return words
    some = [option for option in options if option.get("type") != "null"]
    if len(some) == 2 and some[1].get("items") == some[0]:
        return f"{_takes(some[0])}, or a list"
    return " or ".join(dict.fromkeys(_takes(option) for option in some))


def _bare(shape: Any) -> Any:
    """Strip what says the same in other words: descriptions and references to shared shapes."""
    if isinstance(shape, list):
        return [_bare(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    shared = {"Duration": scalars.DURATION_SCHEMA, "Distribution": scalars.DISTRIBUTION_SCHEMA}
    if "$ref" in shape:
        shape = shared.get(shape["$ref"].rpartition("/")[2], shape)
    return {key: _bare(value) for key, value in shape.items() if key != "description"}


def _number(value: dict[str, Any]) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    kind = "whole number" if value["type"] == "integer" else "number"
    if high is not None and high < 2**31:
        return f"{low}–{high}"
    return f"{kind} ≥ {low}" if low else kind


def _inline(definitions: dict[str, Any]) -> Iterator[str]:
    """List keepalived's own keywords; its manual explains them."""
    own = {"config_id", "starts", "probes"}
    inline = definitions["KeepalivedInline"]["properties"]
    yield from _table({"properties": {key: inline[key] for key in inline if key in own}})
    yield BESIDE
    yield "| key | keepalived.conf | keywords |"
    yield "|---|---|---|"
    for key, keyword in BLOCKS.items():
        row = ROOT[keyword]
        if row.table is not None:
            block = f"`{keyword} NAME {{}}`, by name" if row.opens else f"`{keyword} {{}}`"
            yield f"| `{key}` | {block} | {', '.join(sorted(row.table))} |"
    yield "| `interface_up_down_delays` | `interface_up_down_delays {}` | `{eth0: [DOWN, UP]}` |"
    yield ""


def _events(definitions: dict[str, Any]) -> Iterator[str]:
    models = {name: definitions[verb.noun] for name, verb in VERBS.items()}
    yield "## Events\n"
    yield "Each event has `at:` and one verb with its target. All take:\n"
    any_event = models["kill"]
    yield from _table({**any_event, "properties": {key: any_event["properties"][key] for key in COMMON}})
    yield "| verb | means | undone by `for:` |"
    yield "|---|---|---|"
    for verb, model in models.items():
        lasting = (
            "required" if "for" in model["required"] else "yes" if "for" in model["properties"] else "no"
        )
        yield f"| `{verb}` | {_cell(model['description'])} | {lasting} |"
    yield "\nBeyond that:\n"
    for verb, model in models.items():
        more = {
            key: value
            for key, value in model["properties"].items()
            if key not in COMMON and (key != verb or verb == "partition")
        }
        if more:
            yield f"### {verb}\n"
            yield from _table({"properties": more, "required": model["required"]})
    yield "### The advert of inject\n"
    yield from _table(definitions["Advert"])
