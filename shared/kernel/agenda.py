"""What a service keeps and does besides deciding: the ledger's rows, the timers to ring, the mail to send.

Kept in tables of the service's own, written in the very commit of the events they follow from. What comes of it
(an instant reached, a mail taken) returns as an own input and is decided and committed like a record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.wire import Message
from shared.kernel.decider import Input


@dataclass(frozen=True, slots=True)
class Written:
    """One message as it is committed: where it stands and when its cause happened (R0)."""

    shard: int
    position: int
    order_id: str
    id: str
    correlation_id: str
    time: datetime
    message: Message


class Agenda:
    """The default: nothing to keep and nothing to do."""

    async def opened(self, shard: int) -> None:
        """The shard is ours now: read what was pending. Called before any input of it is handled."""

    def closed(self, shard: int) -> None:
        """The shard is no longer ours: forget it and start nothing more for it."""

    async def write(self, transaction: Any, written: Sequence[Written]) -> None:
        """Keeps what the events ask for; part of their commit (an asyncpg connection in a transaction)."""

    def committed(self, written: Sequence[Written]) -> None:
        """The commit is done: act on it (start a delivery, arm a timer). Never blocks, never raises."""

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        """Own inputs of a shard that are ready. Asked again and again: one handed out is not handed out twice
        while the shard stays ours."""
        return ()

    def next_due(self) -> datetime | None:
        """The instant before which `due` need not be asked again, if nothing is committed meanwhile."""
        return None

    async def stop(self) -> None:
        """Ends what was started."""
