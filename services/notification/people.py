"""Where letters and people's own webhooks go: what `people` says at the moment they are sent, kept in a table that
every shard reads (R74)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.notification.events import Queued, WebhookQueued
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


@dataclass(frozen=True, slots=True)
class AddressedWebhook:
    """A webhook of the recipient's own as it goes out now. Its URL is stored nowhere else than in the table."""

    queued: WebhookQueued
    url: str

    @property
    def template(self) -> str:
        return self.queued.template


def addressed(queued: Queued | WebhookQueued, person: Person | None) -> Queued | AddressedWebhook | None:
    """How it goes out now; None: nowhere. What was given at placing counts only where nobody is known."""
    if isinstance(queued, WebhookQueued):
        found = [one.url for one in person.webhooks if one.endpoint_id == queued.endpoint_id] if person else []
        return AddressedWebhook(queued, found[0]) if found else None
    if person is not None:
        known = {"email": person.email, "locale": person.locale, "time_zone": person.time_zone}
        queued = queued.model_copy(update=known)
    return queued if queued.email is not None else None


def endpoint_ids(person: Person | None) -> tuple[str, ...]:
    """Of his own webhooks."""
    return tuple(one.endpoint_id for one in person.webhooks) if person else ()


class MemoryPeopleTable:
    """The simulated durable side."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}

    async def find(self, person_id: str) -> Person | None:
        return self.people.get(person_id)

    async def write(self, transaction: Any, people: Sequence[Person]) -> None:
        self.people |= {one.person_id: one for one in people}
