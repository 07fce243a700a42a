"""A decider under test: driven through the kernel, and its behaviour written as tables of text.

A table's first line names the inputs, each further line a state and what every input leads to there; a cell is the
events said, joined by `+` (`accepted+closed`), or the code of a refusal, or `-` for nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.common import PolicyRef
from schemas.policy import Policy
from schemas.timer.commands import Schedule
from schemas.wire import Command, Message, PrivateEvent, Rejected
from shared.kernel.decider import Deadline, Decider, WakeUp
from shared.kernel.policies import Policies
from shared.kernel.ports import Input
from shared.kernel.stream import Answers, Stream, handle, refold
from shared.rules import policies

POLICIES = Policies({ref: policy for ref, policy in policies.load().by_ref.items() if ref.version == 1})
"""The presets as they were first published, for which the tables were written: there an order is shippable as soon as
it is placed, a line is frozen whole and nobody is reminded, so each table shows its own rule and no other. A test of a
key that later versions set changes that key, and runs under what they say too."""
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def newest(name: str = "aliexpress") -> tuple[PolicyRef, Policy]:
    """Of `POLICIES`."""
    found = POLICIES.newest(name)
    assert found is not None
    return found


class Desk:
    """One order at one service, at an instant that only moves when told to."""

    def __init__(self, decider: Decider[Any, Any, Any], order_id: str = "order-1", now: datetime = NOON) -> None:
        self.decider, self.now = decider, now
        self.stream: Stream[Any] = Stream(order_id)
        self.answers: Answers = {}
        self.history: list[Message] = []
        self._inputs = 0

    @property
    def state(self) -> Any:
        return self.stream.state

    @property
    def earliest(self) -> Deadline[str] | None:
        return self.decider.earliest(self.state)

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def send(self, command: Command, id: str | None = None) -> list[Message]:  # noqa: A002 - the wire's word
        """A command through the service's own inbox."""
        digest = command.model_dump_json(exclude_defaults=True).encode()
        return self._take(command, command.type, own=True, id=id, digest=digest)

    def hear(self, event: Any, id: str | None = None) -> list[Message]:  # noqa: A002 - the wire's word
        """Another service's event (or an own input): no deadline is brought about by it."""
        return self._take(event, getattr(event, "type", "own"), own=False, id=id)

    def ring(self) -> list[Message]:
        """A bell of the timer service."""
        return self._take(WakeUp(), "timer.elapsed.v1", own=True)

    def _take(self, heard: Any, type_: str, own: bool, id: str | None = None, **about: Any) -> list[Message]:  # noqa: A002
        self._inputs += 1
        name = id or f"input-{self._inputs}"
        record = Input(heard, type_, self.stream.id, name, self.now, name, own=own, **about)
        said = [said.message for said in handle(self.decider, self.stream, record, POLICIES, self.answers)]
        for message in said:  # as it will be read back: a decision that cannot be stored is none
            assert type(message).model_validate_json(message.model_dump_json()) == message
        self.history += said
        return said

    def refolded(self) -> Any:
        """The state as it is read back from the events; always equal to `state`."""
        stream: Stream[Any] = Stream(self.stream.id)
        for message in self.history:
            refold(self.decider, stream, message)
        return stream.state


def outcome(said: list[Message]) -> str:
    """`offer_accepted+closed`, a refusal's code, or `-`; alarms and private rows are not outcomes."""
    words = [
        message.code if isinstance(message, Rejected) else message.type.split(".")[1]
        for message in said
        if not isinstance(message, Schedule | PrivateEvent)
    ]
    return "+".join(words) or "-"


def cells(text: str) -> Iterator[tuple[str, str, str]]:
    """(state, input, expected) of every cell; a missing one is an error."""
    header, *rows = (line.split() for line in text.strip().splitlines() if line.strip())
    for state, *expected in rows:
        assert len(expected) == len(header), f"{state}: {len(expected)} cells for {len(header)} inputs"
        for column, cell in zip(header, expected, strict=True):
            yield state, column, cell
