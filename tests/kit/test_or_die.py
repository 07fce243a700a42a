"""Of what runs side by side in a process none ends alone: nobody would know that it is gone."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from shared.runtime.application import EXIT_UNEXPLAINED, _or_die

Work = Callable[[], Coroutine[Any, Any, None]]


async def fails() -> None:
    raise ZeroDivisionError


async def is_cancelled_by_what_it_waits_for() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    return codes


@pytest.mark.parametrize("work", [fails, is_cancelled_by_what_it_waits_for])
async def test_what_nobody_foresaw_ends_the_process(
    exits: list[int], work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    await asyncio.gather(_or_die(work()), return_exceptions=True)
    assert exits == [EXIT_UNEXPLAINED]


async def test_who_is_ended_or_done_ends_nobody_else(exits: list[int]) -> None:
    ended = asyncio.create_task(_or_die(asyncio.sleep(60)))
    await asyncio.sleep(0)
    ended.cancel()
    await asyncio.gather(ended, _or_die(asyncio.sleep(0)), return_exceptions=True)
    assert exits == []
