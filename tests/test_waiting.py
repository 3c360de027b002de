"""Waits that speak and end: what is said, when, and what ends them."""

from __future__ import annotations

import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest
from clockless import LONG, until

from earthcode_pack.errors import OutsideError
from earthcode_pack.execution import waiting
from earthcode_pack.execution.waiting import Wait, bounded, moved, seconds_of, spoken

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: ContextVar[str] = ContextVar("RUN", default="none")


class Heard(logging.Handler):
    """What was said, each line with the run that its context knows."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((RUN.get(), record.getMessage()))


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler, logger = Heard(), logging.getLogger("earthcode_pack.waiting")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "AGAIN_SECONDS", 0.05)


@pytest.mark.usefixtures("hasty")
def test_it_is_said_again_and_again_in_the_context_of_who_waits(heard: Heard) -> None:
    token = RUN.set("a run")
    with spoken(Wait("the harbour master", 600, "harbour.wait")) as wait:
        wait.tell("attempt 3 of 8: nobody at home")
        until(lambda: len(heard.lines) >= 3, "three lines")
    RUN.reset(token)
    run, line = heard.lines[0]
    assert run == "a run"
    assert line.startswith("waiting for the harbour master: ")
    assert line.endswith(" so far, at most 10 min (harbour.wait); attempt 3 of 8: nobody at home")


@pytest.mark.usefixtures("hasty")
def test_many_that_wait_for_the_same_are_one_voice(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "AGAIN_SECONDS", LONG)
    over = threading.Event()

    def wait() -> None:
        with spoken(Wait("the ferry to Fårö")):
            over.wait(LONG)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    with spoken(Wait("the ferry to Gotska Sandön")):
        until(lambda: len(heard.lines) >= 2, "a line for each of the two")
        threading.Event().wait(0.3)
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(line.split(":")[0] for _, line in heard.lines) == [
        "waiting for the ferry to Fårö",
        "waiting for the ferry to Gotska Sandön",
    ]


def test_what_moves_is_not_waited_for() -> None:
    speaker = waiting._Speaker()
    wait, other = Wait("the same"), Wait("the same")
    wait._since = other._since = -100.0
    speaker._waits |= {wait, other}
    assert len(speaker._due(0.0)) == 1
    other.moved()
    speaker._said.clear()
    assert speaker._due(1000.0) == []  # one of them gets something
    wait.tell("attempt 2 of 8: refused")
    assert speaker._due(1000.0) == [wait]  # but this one fails
    before = wait._since
    wait.moved()
    assert wait._since == before


def test_moved_is_for_the_wait_of_the_context() -> None:
    with spoken(Wait("bytes")) as wait:
        wait._since = -100.0
        moved()
        assert wait.seconds < 100


def test_a_call_that_never_ends_is_left_at_its_bound() -> None:
    never = threading.Event()
    with pytest.raises(OutsideError) as caught:
        bounded(never.wait, Wait("a sign", 0.1, "store.wait"), "look")
    never.set()
    assert caught.value.message == "waited 0.1 s for a sign"
    assert caught.value.remedy == "look, or raise store.wait"


def test_a_call_that_ends_gives_what_it_gives() -> None:
    assert bounded(RUN.get, Wait("a word", LONG), "") == "none"
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, Wait("a number", LONG), "")


@pytest.mark.parametrize("text", ["", "0", "0 s", "-1", "10 m", "ten min", "1e3", "inf", "nan", "10min 5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration such as"):
        seconds_of(text)
