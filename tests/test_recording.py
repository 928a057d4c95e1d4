"""What a trace says of a router's outputs."""

from ipaddress import IPv4Address
from typing import get_args

import pytest

from vrrpsim import trace
from vrrpsim.protocol import outputs as out
from vrrpsim.protocol.fsm import Log, State
from vrrpsim.protocol.packet import Reject
from vrrpsim.protocol.reasons import Reason, in_words
from vrrpsim.recording import LEVELS, record_of

A, B = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.100")
MAC = bytes((2, 0, 0, 0, 0, 1))
MASTER = (State.BACKUP, State.MASTER, Reason.MASTER_DOWN_TIMER)
ROWS = [
    (out.StateChanged("VI", *MASTER, 70), ("VI", "BACKUP", "MASTER", "master_down_timer", 60)),
    (out.StateChanged("VI", *MASTER, None), ("VI", "BACKUP", "MASTER", "master_down_timer", None)),
    (out.PriorityChanged("VI", 100, 98, "chk"), ("VI", 100, 98, "chk")),
    (out.TrackerChanged("script", "chk", False, "exited"), ("script", "chk", False, "exited")),
    (out.SendAdvert("VI", "eth0", A, B, 255, b"", 100, None), ("VI", 100, "10.0.0.100")),
    (out.SendGratuitous("VI", "eth0", B, None), ("eth0", "10.0.0.100", "02:00:00:00:00:01")),
    (out.AdvertDropped("VI", A, Reject.CHK_ERR), ("VI", "10.0.0.1", Reject.CHK_ERR.value)),
    (out.RunNotify("INSTANCE", "VI", "MASTER", 100), ("INSTANCE", "VI", "MASTER", 100)),
    (Log("({}) is {}", ("VI", 1)), ("(VI) is 1",)),
]
SILENT = [
    out.AddAddresses("VI", "eth0", (), None),
    out.RemoveAddresses("VI", "eth0", ()),
    out.RunScript("chk", 1),
    out.KillScript("chk", 1, "TERM"),
    Log("only with -D", (), True),
]


@pytest.mark.parametrize(("output", "fields"), ROWS, ids=lambda each: type(each).__name__)
def test_each_output_has_one_record_of_plain_values(output, fields):
    record = record_of(output, 5, "lb1", mac=MAC, epoch_ns=10)
    assert tuple(record) == (5, "lb1", *fields)
    assert {type(field) for field in record} <= {int, str, bool, type(None)}  # digests hash their repr
    assert type(record) in trace.RECORD_TYPES
    assert type(output) in LEVELS


@pytest.mark.parametrize("output", SILENT, ids=lambda each: type(each).__name__)
def test_what_leaves_no_record(output):
    assert record_of(output, 5, "lb1") is None


def test_nothing_announced_leaves_no_record():
    assert record_of(out.SendGratuitous("VI", "eth0", B, None), 5, "lb1") is None


def test_every_output_is_here():
    assert {type(output) for output, _ in ROWS} | {*map(type, SILENT)} == {*get_args(out.Output)}
    assert LEVELS.keys() == {type(output) for output, _ in ROWS}


@pytest.mark.parametrize("reason", Reason)
def test_reasons_are_said_in_words(reason):
    assert in_words(reason.value) == reason.words
    assert in_words("script chk") == "script chk"
    assert in_words("some_fault") == "some fault"
