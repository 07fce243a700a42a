"""What a service adds to the shard loop, besides its decider."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.kernel.ports import InputSource, Projection


class BackgroundTask(Protocol):
    """Something that runs beside the loop in the same process, such as a provider in process."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Parts:
    projections: Sequence[Projection] = ()
    inputs: Sequence[InputSource] = ()
    background: Sequence[BackgroundTask] = ()
    overdue: Callable[[datetime], int] = lambda before: 0
    """How many inputs that it gives itself should have been handed out before an instant, and were not."""
