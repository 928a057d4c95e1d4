"""Why an instance is in another state."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The value stands in outputs and traces, `words` in what people read. A fault has words of its own."""

    words: str

    INIT = "init", "start of keepalived"
    OWNER = "owner", "address owner"
    MASTER_DOWN_TIMER = "master_down_timer", "hears nobody better"
    HIGHER_ADVERT = "higher_advert", "hears a higher priority"
    SYNC_GROUP = "sync_group", "sync group"
    ADDRESS_LOST = "address_lost", "its address was removed by others"
    TIMER_EXPIRED_BACKUP = "timer_expired_backup", "was descheduled for too long"
    RECOVERED = "recovered", "the fault is gone"
    STOP = "stop", "keepalived stops"

    def __new__(cls, value: str, words: str) -> Reason:
        """Keep the words beside the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member


def in_words(reason: str) -> str:
    """Say the reason of a state change, as a trace has it, to people."""
    known = (each.words for each in Reason if each == reason)
    return next(known, reason.replace("_", " "))
