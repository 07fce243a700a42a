"""Where a letter goes: what `people` says at the moment it is sent, kept in a table that every shard reads (R74)."""

from collections.abc import Sequence
from typing import Any, Protocol

from schemas.notification.events import Queued
from schemas.people import Person
from shared.kernel.ports import Input, StoredEvent


class PeopleTable(Protocol):
    """How each person is reached by now; its writes are part of the commit that `transaction` belongs to."""

    async def find(self, person_id: str) -> Person | None:
        """None: nobody has ever said. Of who was erased it says his id and nothing else."""
        ...

    async def write(self, transaction: Any, people: Sequence[Person]) -> None:
        """Instead of what was known of them; each at most once."""
        ...


class People:
    """Keeps the table. Who was erased stays in it without anything to reach him by: what was given at placing is not
    used for him either."""

    def __init__(self, table: PeopleTable) -> None:
        self.table = table

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        latest = {found.payload.person_id: found.payload for _, found in inputs if isinstance(found.payload, Person)}
        if latest:
            await self.table.write(transaction, list(latest.values()))


def addressed(queued: Queued, person: Person | None) -> Queued:
    """The letter as it goes out now. What was given at placing counts only where nobody is known."""
    if person is None:
        return queued
    return queued.model_copy(update={"email": person.email, "locale": person.locale, "time_zone": person.time_zone})


class MemoryPeopleTable:
    """The simulated durable side."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}

    async def find(self, person_id: str) -> Person | None:
        return self.people.get(person_id)

    async def write(self, transaction: Any, people: Sequence[Person]) -> None:
        self.people |= {one.person_id: one for one in people}
