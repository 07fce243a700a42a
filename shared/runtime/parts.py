"""What a service adds to the shard loop, besides its decider."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.kernel.ports import InputSource, Projection


class BackgroundTask(Protocol):
    """Something that runs beside the loop in the same process, such as a provider in process."""

    async def run(self) -> None:
        """Until it is cancelled, or done; leaves nothing open. What it raises ends the process."""
        ...


@dataclass(frozen=True)
class Parts:
    projections: Sequence[Projection] = ()
    inputs: Sequence[InputSource] = ()
    background: Sequence[BackgroundTask] = ()
    overdue: Callable[[datetime], int] = lambda before: 0
    """How many inputs that it gives itself should have been handed out before an instant, and were not."""
    fresh: Callable[[Mapping[int, datetime]], Awaitable[None]] | None = None
    """Is told each second up to when all is handled that was said, by shard. May raise Outage."""
    web: Any = None
    """An ASGI application for all paths but those of every process; None: there is nothing else to be asked."""
    web_options: Mapping[str, Any] = field(default_factory=dict)
    """How it is served: uvicorn's."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a part: the process gives all back, and ends or begins again (`Application.again`)."""
