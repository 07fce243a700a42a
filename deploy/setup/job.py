"""What the job's parts have in common: what they say of each thing, how they fail, how long they wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
RETRY_SECONDS = 0.5


class Kind(Enum):
    AS_DECLARED = "as declared"
    DONE = "made or set by this run"
    DRIFT = "drift"
    FATAL = "drift that services refuse to start on"


@dataclass(frozen=True)
class Drift:
    """One line about one thing, for the person who reads the job's output."""

    kind: Kind
    text: str


class SetUpFailed(Exception):
    """The job cannot go on; the message is for the person who started it."""


async def until_there(
    what: str, attempt: Callable[[], Awaitable[T]], errors: tuple[type[Exception], ...], seconds: float
) -> T:
    """The result of the first attempt without one of these errors; the last of them is told if that takes too long."""
    until, waiting = time.monotonic() + seconds, False
    while True:
        try:
            return await attempt()
        except errors as error:
            if time.monotonic() > until:
                raise SetUpFailed(f"{what} did not answer within {seconds:.0f} s: {error}") from error
            if not waiting:
                print(f"waiting for {what}: {error}", flush=True)
                waiting = True
        await asyncio.sleep(RETRY_SECONDS)


def read_password(file: Path) -> str:
    """The file's one line. It is never part of a message."""
    try:
        password = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SetUpFailed(f"The password file {file} cannot be read: {reason}.") from None
    if not password:
        raise SetUpFailed(f"The password file {file} is empty.")
    return password
