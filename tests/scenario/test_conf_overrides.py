"""`--set` and `--vary` reach keepalived.conf files by node, block and keyword, and inline ones alike."""

from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.cli import main
from vrrpsim.findings import InputError, Place
from vrrpsim.keepalived.changes import CannotEdit, Change, edited
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.keepalived.lexer import Lexer

ROOT = Path(__file__).parents[2]
FILES = ROOT / "scenarios" / "haproxy-crash.yaml"  # lb1, lb2: keepalived: {file: …}
INLINE = ROOT / "scenarios" / "three-nodes-v3.yaml"
CONF = [ROOT / "scenarios" / "keepalived" / f"{name}.conf" for name in ("lb1", "lb2")]


def config(path, overrides, node="lb1"):
    return vrrpsim.load(path, overrides).scenario.nodes[node].keepalived.config


@pytest.mark.parametrize(
    ("path", "value", "seen"),
    [
        ("lb1.VI_1.advert_int", "3", lambda c: c.instances[0].advert_int_ns == 3_000_000_000),
        ("*.VI_1.advert_int", "3", lambda c: c.instances[0].advert_int_ns == 3_000_000_000),
        ("nodes.lb1.keepalived.vrrp_instances.VI_1.priority", "90", lambda c: c.instances[0].priority == 90),
        ("nodes.*.keepalived.vrrp_scripts.chk_haproxy.fall", "4", lambda c: c.scripts[0].fall == 4),
        ("lb1.chk_haproxy.script", "pgrep haproxy", lambda c: c.scripts[0].command == "pgrep haproxy"),
        ("lb1.VI_1.garp_master_refresh", "7", lambda c: c.instances[0].garp.master_refresh_ns == 7 * 10**9),
        ("lb1.VI_1.authentication.auth_pass", "abcd", lambda c: b"abcd" in c.instances[0].authentication.key),
        ("lb1.VI_1.track_script", "[chk_haproxy weight 9]", lambda c: "weight=9" in repr(c.instances[0])),
        ("lb1.VI_1.authentication", "false", lambda c: c.instances[0].authentication.key == b""),
        ("lb1.global_defs.vrrp_startup_delay", "5", lambda c: c.startup_delay_ns == 5 * 10**9),
        ("lb1.VI_1.virtual_ipaddress", "[10.0.0.7, 10.0.0.8]", lambda c: len(c.instances[0].addresses) == 2),
    ],
)  # fmt: skip
def test_a_keyword_of_a_file(path, value, seen):
    assert not seen(config(FILES, {}))
    assert seen(config(FILES, {path: value}))


def test_a_keyword_of_an_inline_configuration_by_the_same_path():
    node = next(iter(vrrpsim.load(INLINE).scenario.nodes))
    name = config(INLINE, {}, node).instances[0].name
    assert config(INLINE, {f"{node}.{name}.priority": "77"}, node).instances[0].priority == 77
    assert config(INLINE, {f"*.{name}.priority": "77"}, node).instances[0].priority == 77


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("lb1.VI_2.advert_int", "3", "no block 'VI_2'; did you mean 'VI_1'?"),
        ("lb1.VI_1.advert_itn", "3", "did you mean 'advert_int'?"),
        ("lb1.VI_1.priority", "300", "'300' is outside 1 to 255"),
        ("*.VI_9.priority", "3", "no node has a block of that name"),
        ("lb1.VI_1.authentication.key.x", "3", "no block 'key' in VI_1"),
        ("lb1.VI_1", "3", "no block 'VI_1'"),
        ("lb9.VI_1.priority", "3", "lb9"),
        ("nodes.lb1.keepalived.priority", "3", "no block 'priority'"),
    ],
)
def test_what_cannot_be_followed_is_an_error_at_the_option(path, value, says):
    with pytest.raises(InputError) as caught:
        vrrpsim.load(FILES, {path: value})
    assert f"--set {path}={value}:1:1: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.slow
def test_files_without_a_scenario_take_the_same_paths(capsys):
    words = [
        "census",
        *map(str, CONF),
        "--cell",
        "kill lb1/haproxy",
        "-q",
        "--fail-on",
        "outage>6s",
        "-j",
        "1",
    ]
    assert main(words) == 0
    assert main([*words, "--set", "*.chk_haproxy.interval=5"]) == 1
    assert main([*words, "--set", "*.chk.interval=5", "--set", "lb3.VI_1.priority=5"]) == 3
    assert capsys.readouterr().err.count("--set ") == 2


@pytest.mark.slow
def test_a_sweep_varies_keywords_of_files():
    done = vrrpsim.load(FILES).sweep(20, vary={"*.VI_1.advert_int": ["1", "3"]}, jobs=1).to_dict()
    one, three = (cell["measures"]["failover"]["p50"] for cell in done["cells"])
    assert three > one + 3


CONF_TEXT = """\
vrrp_script chk { script "pidof x"  # what we serve
    interval 2 }
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 5
    priority 100   ! the first
    track_script {
        chk
    }
    virtual_ipaddress {
        10.0.0.9
    }
}
"""


def edit(*changes):
    lexer = Lexer(None, 0)
    lexer.read_text(CONF_TEXT, "a.conf", None)
    lexer.finish()
    place = Place("test", 1, 1)
    made = [Change(path, value, place) for path, value in changes]
    return edited({"a.conf": CONF_TEXT}, lexer.rows, made)["a.conf"]


@pytest.mark.parametrize(
    ("path", "value", "gone", "comes"),
    [
        ("VI_1.priority", "90", "    priority 100   ! the first", "    priority 90   ! the first"),
        ("VI_1.advert_int", "3", None, "    advert_int 3"),
        ("VI_1.state", "false", "    state BACKUP", None),
        ("VI_1.nopreempt", "true", None, "    nopreempt"),
        ("VI_1.track_script", "[chk weight 3]", "        chk", "        chk weight 3"),
    ],
)
def test_a_text_is_edited_line_by_line(path, value, gone, comes):
    old, new = CONF_TEXT.splitlines(), edit((path, value)).splitlines()
    assert [line for line in old if line not in new] == [gone] * (gone is not None)
    assert [line for line in new if line not in old] == [comes] * (comes is not None)
    assert not compile_text("\n".join(new)).fatal


@pytest.mark.parametrize("path", ["chk.interval", "chk.fall", "VI_2.priority"])
def test_what_no_line_can_say_is_refused(path):
    with pytest.raises(CannotEdit):
        edit((path, "3"))
