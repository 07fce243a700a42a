"""The roster is a state with a bound: whatever was, who takes it over reads what is open, and a seat costs a few steps.

What it decides is compared with the plainest roster there can be, which looks at everything every time.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import process_time
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.mediation.commands import AssignMediator, Seat
from schemas.mediation.events import MediatorRegistered
from schemas.wire import Event, Message, Rejected
from services.mediation import roster
from services.mediation.domain import DECIDER
from services.mediation.roster import RosterKept
from shared.kernel.decider import Send
from shared.kernel.stream import Stream, refold
from tests.domain.mediation_room import ROSTER
from tests.domain.test_mediation_roster import Office, given_to

Given = list[tuple[str, str]]


@dataclass
class PlainRoster:
    """Everything in dictionaries, in their order."""

    active: dict[str, int] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def register(self, who: str, capacity: int) -> Given:
        self.active[who] = capacity
        self.retired.discard(who)
        return self._serve()

    def retire(self, who: str) -> str | Given:
        if who not in self.active:
            return "wrong_state" if who in self.retired else "not_found"
        del self.active[who]
        self.retired.add(who)
        return []

    def seat(self, order: str, who: str | None, wanted: bool, but: tuple[str, ...]) -> Given:
        self.taken.pop(order, None)
        self.waiting.pop(order, None)
        if wanted:
            self.waiting[order] = but
        elif who is not None:
            self.taken[order] = who
        return self._serve()

    def _serve(self) -> Given:
        given_now = []
        loads = Counter(self.taken.values())
        for order, barred in list(self.waiting.items()):
            room = [one for one, capacity in self.active.items() if loads[one] < capacity and one not in barred]
            if room:
                chosen = min(room, key=lambda one: (loads[one], one))
                loads[chosen] += 1
                del self.waiting[order]
                self.taken[order] = chosen
                given_now.append((order, chosen))
        return given_now


def loaded(history: list[Message]) -> tuple[Any, int]:
    """(state, rows read) of who takes the roster over."""
    since = max((at for at, one in enumerate(history) if isinstance(one, RosterKept)), default=0)
    stream: Stream[Any] = Stream("mediators")
    for message in history[since:]:
        refold(DECIDER, stream, message)
    return stream.state, len(history) - since


MEDIATORS = st.sampled_from(["m1", "m2", "m3", "m4"])
ORDERS = st.sampled_from([f"o{number}" for number in range(12)])
STEPS = st.one_of(
    st.tuples(st.just("register"), MEDIATORS, st.integers(0, 3)),
    st.tuples(st.just("retire"), MEDIATORS),
    st.tuples(st.just("seat"), ORDERS, st.none(), st.just(True), st.lists(MEDIATORS, max_size=3).map(tuple)),
    st.tuples(st.just("seat"), ORDERS, st.one_of(st.none(), MEDIATORS), st.just(False), st.just(())),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=80), st.integers(1, 12))
@pytest.mark.rule("R48")
def test_it_gives_whom_the_plainest_roster_gives_and_who_takes_it_over_goes_on_like_him(
    story: list[tuple[Any, ...]], kept_after: int
) -> None:
    office, plain = Office(), PlainRoster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roster, "EVENTS_SINCE_KEPT_MAX", kept_after)
        for name, *about in story:
            said = getattr(office, name)(*about)
            refused = [message.code for message in said if isinstance(message, Rejected)]
            assert (refused[0] if refused else given_to(said)) == getattr(plain, name)(*about)
            state, _ = loaded(office.history)
            assert state == office.state
            office.stream.state = state
    if office.state is not None:
        assert {order: who for (order, _), who in office.state.taken.items()} == plain.taken
        assert [one.seat[0] for one in office.state.queue.values()] == [*plain.waiting]


def filled(office: Office, open_: int, ever: int) -> None:
    """So many cases were, the last so many of them are open: most have a mediator, some wait."""
    mediators = open_ // 500 + 1
    for number in range(mediators):
        office.register(f"m{number}", capacity=open_ * 9 // 10 // mediators)
    for number in range(ever):
        if number >= open_:
            office.seat(f"o{number - open_}")
        office.want(f"o{number}")
        if (assign := [one for one in office.history[-3:] if isinstance(one, AssignMediator)]) and number % 7 == 0:
            office.seat(f"o{number}", assign[-1].mediator_id)


def test_who_takes_it_over_reads_what_is_open_and_not_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "EVENTS_SINCE_KEPT_MAX", 100)
    office = Office()
    filled(office, open_=300, ever=3_000)

    state, rows = loaded(office.history)

    assert state == office.state
    assert len(state.taken) + len(state.waiting) == 300
    assert len(office.history) > 8_000
    assert rows < 2 * 300, "events since it was kept, and the answers beside them"


def test_nothing_is_kept_of_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "RETIRED_KNOWN_MAX", 10)
    office = Office()
    for number in range(30):
        office.register(f"m{number}")
        office.want(f"o{number}")
        office.seat(f"o{number}")
        office.retire(f"m{number}")

    state = office.state

    assert not state.active
    assert state.retired == tuple(f"m{number}" for number in range(20, 30))
    assert not any((state.taken, state.waiting, state.queue, state.loads, state.free))


def steps(act: Callable[[], Any]) -> int:
    """Calls of functions, those of the interpreter too: the work of it, on whatever machine."""
    count = 0

    def called(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("act", ["taken", "freed", "wanted by one who waits", "overdue, with all who have room barred"])
def test_a_seat_among_thousands_costs_hardly_more_than_among_a_few(act: str) -> None:
    def cost(open_: int) -> int:
        state = roster.Roster()
        room = open_ // 2
        state = roster.evolve(state, MediatorRegistered(mediator_id="m1", capacity=room, email=None, locale=None))
        for number in range(room):
            state = roster.evolve(state, _given(f"t{number}", "m1"))
        state = roster.evolve(state, MediatorRegistered(mediator_id="m2", capacity=room, email=None, locale=None))
        for number in range(room):
            state = roster.evolve(state, _noted(f"w{number}", wanted=True, but=("m2",)))
        seats = {
            "taken": _seat("t1", who="m3"),
            "freed": _seat("t1"),
            "wanted by one who waits": _seat("w1", wanted=True, but=("m2",)),
            "overdue, with all who have room barred": _seat("t1", wanted=True, but=("m1", "m2")),
        }
        heard = seats[act]
        said: list[Any] = []
        return steps(lambda: said.extend(roster.hear(replace(state, since_kept=0), heard)))

    assert cost(10_000) < 2 * cost(200)


def _seat(order: str, who: str | None = None, wanted: bool = False, but: tuple[str, ...] = ()) -> Seat:
    return Seat(order_id=order, actor=ROSTER, dispute_id="d1", round=1, mediator_id=who, wanted=wanted, except_=but)


def _given(order: str, who: str) -> Event:
    return roster.SeatGiven(case_order_id=order, dispute_id="d1", mediator_id=who)


def _noted(order: str, wanted: bool, but: tuple[str, ...] = ()) -> Event:
    return roster.SeatNoted(case_order_id=order, dispute_id="d1", mediator_id=None, wanted=wanted, not_these=but)


class Quick(Office):
    """Past the kernel, for very many."""

    def hear(self, event: Any, id: str | None = None) -> list[Message]:  # noqa: A002 - the wire's word
        said = [one.message if isinstance(one, Send) else one for one in roster.hear(self.state, event)]
        messages = [one for one in said if isinstance(one, Message)]
        for message in messages:
            refold(DECIDER, self.stream, message)
        self.history += messages
        return messages


@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.environ.get("RECOURSE_TEST_ROSTER"), reason="RECOURSE_TEST_ROSTER=1 prints the figures")
def test_what_a_hundred_thousand_mediations_cost(capsys: pytest.CaptureFixture[str]) -> None:
    office, began = Quick(), process_time()
    filled(office, open_=10_000, ever=100_000)
    lived = process_time() - began
    began = process_time()
    state, rows = loaded(office.history)
    took = process_time() - began

    assert state == office.state
    with capsys.disabled():
        print(f"\n{len(office.history):,} rows ever, {rows:,} read in {took:.2f} s of CPU; {lived:.0f} s to live it")
