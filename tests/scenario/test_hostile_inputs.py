"""Small hostile scenarios and folders (issue 15): no long work, no terminal's commands, no planted links."""

import time
from contextlib import suppress

import pytest

from vrrpsim import atomic_write
from vrrpsim.findings import InputError, Place
from vrrpsim.scenario.file import fields
from vrrpsim.scenario.file.yaml_tree import MOST_SHOWN, Tree
from vrrpsim.scenario.quantities import ValueSyntaxError


def test_a10_many_errors_cost_no_time_and_few_are_shown():
    tree, begin = Tree("s.yaml", {}, {}, {}), time.process_time()
    for number in range(25_000):
        for _ in range(2):
            tree.add(Place("s.yaml", number + 1, 1), "wrong")
    with pytest.raises(InputError) as refused:
        tree.raise_if_broken()
    assert time.process_time() - begin < 5
    *_, last = refused.value.findings
    assert len(refused.value.findings) == MOST_SHOWN + 1
    assert last.message == "and 24000 more errors"


@pytest.mark.parametrize("text", ["x\x1b]0;pwn\x07", "a\x9b31m", "\x00", "a\u202eb", "\r"])
def test_a7_text_that_a_terminal_would_obey_is_refused(text):
    with pytest.raises(ValueSyntaxError, match=r"control character U\+"):
        fields._text(text)
    assert fields._text("zwei\n\tZeilen – ä") == "zwei\n\tZeilen – ä"


def test_a8_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr(atomic_write.os, "urandom", lambda _: b"guessed")
    (tmp_path / f".p.csv.{b'guessed'.hex()}.part").symlink_to(victim)
    with suppress(atomic_write.CannotWrite):
        atomic_write.write_whole(tmp_path / "p.csv", b"ours")
    assert victim.read_text() == "mine"
