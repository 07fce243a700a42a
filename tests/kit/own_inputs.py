"""An input source that has nothing to say, for tests to make one of their own of it."""

from collections.abc import Sequence
from datetime import datetime

from shared.kernel.ports import Input, StoredEvent


class NoInputs:
    async def opened(self, shard: int) -> None:
        """Nothing was pending."""

    def closed(self, shard: int) -> None:
        """Nothing is kept of a shard."""

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        return ()

    def next_due(self) -> datetime | None:
        return None

    def committed(self, events: Sequence[StoredEvent]) -> None:
        """Nothing follows."""

    async def stop(self) -> None:
        """Nothing was started."""
