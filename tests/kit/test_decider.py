"""The law of time, one answer per command, one alarm per order (R0)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.timer.commands import Schedule
from schemas.timer.events import TimerRejected
from schemas.wire import Actor, Command, Message, Rejected, Repeated
from shared.kernel.decider import Deadline, Decider, Output, Refusal, RefusedOnArrival, Send, WakeUp, stateless
from shared.kernel.policies import Policies
from shared.kernel.ports import Claim, Input, StoredEvent
from shared.kernel.stream import AlarmFired, Answers, OutgoingMessage, Stream, fold, handle, learn
from shared.runtime.batch import Batch, Shard
from tests.kit.counter_decider import (
    UNLUCKY,
    Add,
    Added,
    Count,
    Keep,
    Missed,
    Noted,
    Promise,
    Promised,
    Told,
    counter_decider,
    decide,
    decide_with_a_bug,
    expire,
)

pytestmark = pytest.mark.rule("R0")

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
NO_POLICIES = Policies({})
BUYER = Actor(role="buyer", id="b1")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Order:
    """One order under a decider, and all that was ever said about it."""

    def __init__(self, decider: Decider[Any, Any, Any] | None = None) -> None:
        self.decider = decider or counter_decider()
        self.stream: Stream[Any] = Stream("order-1")
        self.history: list[OutgoingMessage] = []
        self.stored: list[StoredEvent] = []
        self._inputs = 0

    def take(self, heard: Any, seconds: float, id: str | None = None, **about: Any) -> list[OutgoingMessage]:  # noqa: A002
        self._inputs += 1
        name = id or f"input-{self._inputs}"
        kind = getattr(heard, "type", "counter.unreadable.v1")
        about = {"correlation_id": name, "place": b"0/%d" % self._inputs} | about
        found = Input(heard, kind, "order-1", name, at(seconds), **about)
        answers: Answers = {}
        for event in self.stored:
            learn(answers, event)
        said = handle(self.decider, self.stream, found, NO_POLICIES, answers)
        batch = Batch("order", lambda key: 0)
        batch.store(Shard(Claim(0, 1, 0, 0, 0)), found, said)
        self.history += said
        self.stored += batch.events
        return said

    def send(
        self,
        command: Command | Refusal,
        seconds: float = 0,
        id: str | None = None,  # noqa: A002
        actor: Actor | None = BUYER,
        **about: Any,
    ) -> list[OutgoingMessage]:
        digest = blake2b(repr(command).encode(), digest_size=16).digest()
        payload = RefusedOnArrival(command, actor) if isinstance(command, Refusal) else command
        return self.take(payload, seconds, id, own=True, digest=digest, **about)

    def ring(self, seconds: float) -> list[OutgoingMessage]:
        return self.take(WakeUp(), seconds, own=True)

    def refolded(self) -> Stream[Any]:
        return fold(self.decider, Stream("order-1"), self.stored)


def add(amount: int = 1, actor: Actor = BUYER) -> Add:
    return Add(order_id="order-1", actor=actor, amount=amount)


def promise(seconds: float, name: str = "first", subject: str = "it") -> Promise:
    return Promise(order_id="order-1", actor=BUYER, name=name, due_at=at(seconds), subject=subject)


def keep(name: str) -> Keep:
    return Keep(order_id="order-1", actor=BUYER, name=name)


def told(seconds: float) -> Told:
    return Told(order_id="order-1", due_at=at(seconds))


def passing_on(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    return [*decide(state, command, now, policies), Send(add(100), "refund.commands")]


def happened(said: Sequence[OutgoingMessage]) -> list[str]:
    """`missed:first`, `added`, a refusal's code, `alarm@10` for what the timer service is asked."""

    def word(message: Message) -> str:
        match message:
            case Schedule(due_at=due_at, rang_early=rang_early):
                return f"alarm@{(due_at - NOON).total_seconds():g}{', rang early' if rang_early else ''}"
            case Missed(name=name):
                return f"missed:{name}"
            case Rejected(code=code):
                return code
        return message.type.split(".")[1]

    return [word(one.message) for one in said]


def test_an_input_at_the_very_instant_of_a_deadline_beats_it() -> None:
    order = Order()
    order.send(promise(10))
    assert happened(order.send(keep("first"), 10)) == ["kept"]
    assert order.stream.state == Count()


def test_after_its_instant_a_deadline_has_happened_before_the_input() -> None:
    order = Order()
    order.send(promise(10))
    assert happened(order.send(keep("first"), 10.001)) == ["missed:first", "not_found"]


def test_of_several_overdue_deadlines_the_earliest_happens_first() -> None:
    order = Order()
    for seconds, name in [(30, "first"), (10, "second"), (20, "third")]:
        order.send(promise(seconds, name))
    assert happened(order.send(add(), 25)) == ["missed:second", "missed:third", "added"]


def test_deadlines_of_one_instant_happen_in_the_order_of_the_rule_book_then_of_their_subjects() -> None:
    order = Order(counter_decider(deadline_names=("third", "first", "second")))
    for name, subject in [("second", "a"), ("first", "b"), ("third", "a"), ("first", "a")]:
        order.send(promise(10, name, subject))
    missed = [said.message for said in order.send(add(), 11)[:4]]
    assert [(one.name, one.subject) for one in missed if isinstance(one, Missed)] == [
        ("third", "a"),
        ("first", "a"),
        ("first", "b"),
        ("second", "a"),
    ]


def test_what_a_deadline_brings_about_is_said_at_the_time_of_the_input_that_found_it_overdue() -> None:
    seen: list[datetime] = []

    def watching(state: Count | None, deadline: Deadline[str], now: datetime, policies: Policies) -> Sequence[Output]:
        seen.append(now)
        return expire(state, deadline, now, policies)

    order = Order(counter_decider(expire=watching))
    order.send(promise(10))
    order.ring(500)
    assert seen == [at(500)]


def test_another_services_event_brings_no_deadline_about_but_sets_the_alarm() -> None:
    order = Order()
    order.send(promise(100))
    assert happened(order.take(told(20), 50)) == ["noted", "alarm@20"]
    assert happened(order.take(told(30), 200)) == ["noted"], "an alarm that is set is not moved later"
    assert happened(order.ring(201)) == ["missed:told", "missed:first", "rung"]


def test_an_alarm_is_asked_for_the_earliest_deadline_and_moved_only_to_an_earlier_one() -> None:
    order = Order()
    assert happened(order.send(promise(10, "first"))) == ["promised", "alarm@10"]
    assert happened(order.send(promise(20, "second"), 1)) == ["promised"]
    assert happened(order.send(promise(5, "third"), 2)) == ["promised", "alarm@5"]
    assert happened(order.send(keep("third"), 3)) == ["kept"], "never cancelled"
    [alarm] = order.ring(5.001)
    assert isinstance(alarm.message, Schedule)
    assert (alarm.message.timer_id, alarm.message.due_at) == ("order/order-1", at(10))
    assert (alarm.message.name, alarm.message.deliver_to) == ("first", "order")


def test_a_bell_at_its_instant_or_before_asks_again_but_at_least_a_second_later() -> None:
    order = Order()
    order.send(promise(10))
    assert happened(order.ring(10)) == ["alarm@11, rang early"]
    assert happened(order.ring(5)) == ["alarm@10, rang early"]
    assert happened(order.ring(9.5)) == ["alarm@10.5, rang early"]
    assert "missed:first" not in happened(order.history)
    assert happened(order.ring(10.6)) == ["missed:first", "rung"]


def test_a_bell_too_many_changes_nothing() -> None:
    order = Order()
    assert order.ring(1) == []
    order.send(promise(10))
    assert happened(order.ring(11)) == ["missed:first", "rung"]
    assert order.ring(12) == []
    assert order.ring(13) == []


def test_a_late_bell_finds_what_an_earlier_input_has_brought_about() -> None:
    order = Order()
    order.send(promise(10))
    order.send(add(), 11)
    assert happened(order.ring(12)) == ["rung"]


@given(st.lists(st.integers(0, 40), max_size=12))
def test_forged_bells_never_change_an_outcome(bells: list[int]) -> None:
    def outcome(rings: Sequence[int]) -> Count | None:
        order = Order()
        steps: list[tuple[float, Command | None]] = [
            (0, promise(10, "first")),
            (1, promise(20, "second")),
            (15, keep("second")),
            (16, promise(30, "third")),
            (31, add(5)),
        ]
        steps += [(ring, None) for ring in rings]
        for seconds, command in sorted(steps, key=lambda step: step[0]):
            if command is None:
                order.ring(seconds)
            else:
                order.send(command, seconds)
        state: Count | None = order.stream.state
        return state

    assert outcome(bells) == outcome([])


class Timetable:
    """Steps of a random history: each a function of the instant at which it comes."""

    STEPS = st.one_of(
        st.tuples(st.just("promise"), st.integers(-20, 60), st.sampled_from(["first", "second", "third"])),
        st.tuples(st.just("told"), st.integers(-20, 60), st.just("")),
        st.tuples(st.just("keep"), st.just(0), st.sampled_from(["first", "second", "third", "told"])),
        st.tuples(st.just("add"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("bell"), st.just(0), st.just("")),
    )

    @staticmethod
    def take(order: Order, now: int, step: tuple[str, int, str]) -> None:
        kind, number, name = step
        match kind:
            case "promise":
                order.send(promise(now + number, name), now)
            case "told":
                order.take(told(now + number), now)
            case "keep":
                order.send(keep(name), now)
            case "add":
                order.send(add(number), now)
            case "bell":
                order.ring(now)


@given(st.lists(st.tuples(st.integers(0, 15), Timetable.STEPS), max_size=25))
def test_whatever_comes_no_deadline_is_left_without_an_alarm_and_all_of_it_is_read_back(
    steps: list[tuple[int, tuple[str, int, str]]],
) -> None:
    order, now = Order(), 0
    for pause, step in steps:
        now += pause
        Timetable.take(order, now, step)
        stream = order.stream
        due = min((one.due_at for one in order.decider.deadlines(stream.state)), default=None)
        if due is not None:
            assert stream.alarm is not None
            assert stream.alarm <= max(due, at(now) + SECOND)
        read = order.refolded()
        assert read == stream


def test_the_alarm_survives_a_refold() -> None:
    order = Order()
    order.send(promise(10))
    order.stream = order.refolded()
    assert order.stream.alarm == at(10)
    assert happened(order.send(promise(10, "second"))) == ["promised"], "one alarm is enough for both"
    order.ring(11)
    assert order.refolded().alarm is None
    assert isinstance(order.history[-1].message, AlarmFired)


def test_a_repeated_command_has_its_effect_and_its_answer_once() -> None:
    order = Order()
    assert happened(order.send(add(5), 0, "c1")) == ["added"]
    assert happened(order.send(add(5), 1, "c1")) == ["repeated"]
    order.stream = order.refolded()
    assert happened(order.send(add(5), 2, "c1")) == ["repeated"]
    assert order.stream.state == Count(total=5)


@pytest.mark.rule("R81")
@pytest.mark.parametrize("wish", [add(5), add(0), Refusal("invalid", "?")], ids=["obeyed", "refused", "unreadable"])
def test_whoever_repeats_a_command_is_told_which_answer_it_had(wish: Command | Refusal) -> None:
    order = Order()
    order.send(promise(10), 0)
    [missed, first] = order.send(wish, 11, "c1")
    assert happened([missed]) == ["missed:first"]
    [again] = order.send(wish, 12, "c1")
    order.stream = order.refolded()
    [later] = order.send(wish, 13, "c1")
    for one in (again, later):
        assert isinstance(one.message, Repeated)
        assert (one.message.command_id, one.message.order_id, one.message.actor) == ("c1", "order-1", BUYER)
        told = (one.message.answer_id, one.message.answer_type, one.message.answered_at)
        assert told == (first.id, first.message.type, at(11))
        assert (one.causation_id, one.command_id, one.digest) == ("c1", None, None), "it is no answer of its own"


def test_of_an_answer_in_several_pieces_a_repeat_is_told_the_first_that_can_be_read() -> None:
    def on_the_quiet(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
        return [Send(add(100), "refund.commands"), Noted(), *decide(state, command, now, policies)]

    order = Order(counter_decider(decide=on_the_quiet))
    *_, added = order.send(add(5), 0, "c1")
    [again] = order.send(add(5), 1, "c1")
    assert isinstance(again.message, Repeated)
    assert (again.message.answer_id, again.message.answer_type) == (added.id, Added.type)
    assert order.refolded() == order.stream


def test_each_repeat_is_one_word_under_an_id_of_its_own() -> None:
    order = Order()
    for _ in range(5):
        order.send(add(5), 0, "c1")
    assert happened(order.history) == ["added", *["repeated"] * 4]
    assert len({said.id for said in order.history}) == 5


def test_a_service_that_has_no_word_for_it_says_nothing_to_a_repeat() -> None:
    order = Order(counter_decider(repeated=None))
    order.send(add(5), 0, "c1")
    assert order.send(add(5), 1, "c1") == []


@pytest.mark.rule("R77")
def test_a_command_id_is_its_actors_own() -> None:
    others = [Actor(role="buyer", id="b2"), Actor(role="seller", id="b1"), Actor(role="operator", id="o1")]
    order = Order()
    for number, actor in enumerate([BUYER, *others]):
        assert happened(order.send(add(1, actor), number, "c1")) == ["added"]
    order.stream = order.refolded()
    assert order.stream.state == Count(total=4)
    for actor in (BUYER, *others):
        assert happened(order.send(add(1, actor), 5, "c1")) == ["repeated"]
        assert happened(order.send(add(2, actor), 5, "c1")) == ["idempotency_conflict"]
    assert len({said.id for said in order.history}) == len(order.history)


@pytest.mark.rule("R77")
def test_nobody_takes_an_id_by_saying_what_cannot_be_read() -> None:
    order = Order()
    assert happened(order.send(Refusal("invalid", "?"), 0, "c1", actor=None)) == ["invalid"]
    assert happened(order.send(Refusal("invalid", "?"), 0, "c1", actor=Actor(role="buyer", id="b2"))) == ["invalid"]
    assert happened(order.send(add(5), 1, "c1")) == ["added"]


def test_a_repeat_still_lets_overdue_deadlines_happen() -> None:
    order = Order()
    order.send(promise(10), 0, "c1")
    assert happened(order.send(promise(10), 11, "c1")) == ["missed:first", "repeated"]


def test_another_content_under_a_known_id_is_refused_once_per_content() -> None:
    order = Order()
    order.send(add(5), 0, "c1")
    assert happened(order.send(add(6), 1, "c1")) == ["idempotency_conflict"]
    assert happened(order.send(add(6), 2, "c1")) == ["repeated"]
    assert happened(order.send(add(7), 3, "c1")) == ["idempotency_conflict"]
    order.stream = order.refolded()
    assert happened(order.send(add(6), 4, "c1")) == ["repeated"]
    assert happened(order.send(add(5), 4, "c1")) == ["repeated"]
    assert order.stream.state == Count(total=5)


def test_an_unreadable_content_under_a_known_id_is_a_conflict_but_a_wrong_key_is_said_first() -> None:
    order = Order()
    order.send(add(5), 0, "c1")
    assert happened(order.send(Refusal("invalid", "?"), 1, "c1")) == ["idempotency_conflict"]
    assert happened(order.send(Refusal("key_mismatch", "?"), 2, "c1")) == ["key_mismatch"]
    assert happened(order.send(Refusal("invalid", "?"), 3, "c2")) == ["invalid"]


def test_the_answer_to_a_command_names_it_though_deadlines_happen_before() -> None:
    order = Order()
    order.send(promise(10))
    missed, added, *_ = order.send(add(), 11, "c2")
    assert (missed.causation_id, missed.command_id, missed.digest) == ("order/it/first", None, None)
    assert (added.causation_id, added.command_id) == ("c2", "c2")
    assert added.digest is not None


def test_a_refusal_says_what_was_refused_to_whom_and_why() -> None:
    order = Order()
    [refused] = order.send(keep("nothing"), 0, "c1")
    message = refused.message
    assert isinstance(message, Rejected)
    assert (message.refused, message.command_id, message.order_id) == ("counter.keep.v1", "c1", "order-1")
    assert (message.code, message.message, message.actor) == ("not_found", "no such promise", BUYER)


def test_what_a_command_causes_carries_its_actor_and_what_a_deadline_causes_does_not() -> None:
    order = Order()
    order.send(promise(10))
    missed, added = (said.message for said in order.send(add(), 11))
    assert isinstance(missed, Missed)
    assert isinstance(added, Added)
    assert (missed.actor, added.actor) == (None, BUYER)


def test_a_deadline_that_comes_due_again_for_the_same_instant_says_so_under_ids_of_its_own() -> None:
    order = Order()
    order.send(promise(10))
    ids = [said.id for said in order.ring(20)]
    order.send(promise(10), 20)
    ids += [said.id for said in order.ring(20)]
    missed = [said for said in order.history if isinstance(said.message, Missed)]
    assert len(missed) == 2
    assert len({said.causation_id for said in missed}) == 1, "it has one name"
    assert len(set(ids)) == len(ids)


def test_and_so_when_it_is_a_command_said_again_that_brings_it_about() -> None:
    order = Order()
    order.send(promise(10))
    order.send(add(), 20, id="again")
    order.send(promise(10), 20)
    order.send(add(), 20, id="again")
    missed = [said.id for said in order.history if isinstance(said.message, Missed)]
    assert len(set(missed)) == len(missed) == 2


def test_same_cause_same_ids() -> None:
    def ids() -> list[str]:
        order = Order(counter_decider(decide=passing_on))
        order.send(promise(10), 0, "c1")
        order.take(told(5), 1, "event-1")
        order.send(add(), 11, "c2")
        order.ring(12)
        return [said.id for said in order.history]

    first = ids()
    assert first == ids()
    assert len(set(first)) == len(first) == 10


def stories(said: Sequence[OutgoingMessage]) -> list[tuple[str, str]]:
    return [(what, one.correlation_id) for what, one in zip(happened(said), said, strict=True)]


def test_what_an_input_brings_about_belongs_to_its_story_and_so_does_what_a_deadline_does_that_it_set() -> None:
    order = Order(counter_decider(deadline_names=("first", "second", "third", "told")))
    assert stories(order.send(promise(10, "first"), 0, "c1", correlation_id="a")) == [
        ("promised", "a"),
        ("alarm@10", "a"),
    ]
    assert stories(order.send(promise(20, "second"), 1, "c2")) == [("promised", "c2")]
    assert stories(order.take(told(15), 2, correlation_id="b")) == [("noted", "b")]
    order.stream = order.refolded()
    assert stories(order.send(add(), 11, "c3")) == [("missed:first", "a"), ("added", "c3")]
    assert stories(order.ring(12)) == [("alarm@15", "b")], "the bell rings on with the deadline it is for"
    order.stream = order.refolded()
    assert stories(order.send(keep("second"), 16, "c4"))[:2] == [("missed:told", "b"), ("kept", "c4")]


def test_a_deadline_belongs_to_the_record_that_set_it_last() -> None:
    order = Order()
    order.send(promise(10), 0, "c1")
    order.send(promise(10), 1, "c2")
    order.send(keep("first"), 2, "c3")
    order.send(promise(10), 3, "c4")
    order.send(promise(20, "second"), 4, "c5")
    assert {name: story for name, story in stories(order.ring(21)) if name.startswith("missed")} == {
        "missed:first": "c4",
        "missed:second": "c5",
    }


def test_what_a_deadline_sets_goes_on_with_its_story() -> None:
    def extended(state: Count | None, deadline: Deadline[str], now: datetime, policies: Policies) -> Sequence[Output]:
        missed = Missed(name=deadline.name, subject=deadline.subject)
        again = Promised(name="second", due_at=at(20), subject="it")
        return [missed, again] if deadline.name == "first" else [missed]

    order = Order(counter_decider(expire=extended))
    order.send(promise(10), 0, "c1")
    order.send(add(), 11, "c2")
    order.stream = order.refolded()
    assert ("missed:second", "c1") in stories(order.send(add(), 21, "c3"))


def test_a_bug_leaves_the_order_as_it_was() -> None:
    order = Order(counter_decider(decide=decide_with_a_bug))
    order.send(promise(10))
    before = order.refolded()
    with pytest.raises(ZeroDivisionError):
        order.send(add(UNLUCKY), 11, "c2")
    assert order.stream == before
    order.decider = counter_decider()
    assert happened(order.send(add(UNLUCKY), 11, "c2")) == ["missed:first", "added"]


def test_a_command_that_is_not_answered_is_a_bug() -> None:
    order = Order(counter_decider(decide=lambda *_: []))
    with pytest.raises(RuntimeError, match="no answer"):
        order.send(add())


def test_a_command_that_is_obeyed_in_silence_has_no_answer_however_often_it_comes_but_a_refusal_has() -> None:
    said: list[Output] = []
    decider: Decider[None, Schedule, Any] = Decider(
        service="timer", evolve=stateless, commands=(Schedule,), decide=lambda *_: said, rejected=TimerRejected
    )
    order = Order(decider)
    about: dict[str, Any] = {"order_id": "order-1", "actor": BUYER, "timer_id": "order/order-1", "deliver_to": "order"}
    wish = Schedule(**about, name="first", due_at=at(10))
    assert [order.send(wish, id="c1"), order.send(wish, id="c1")] == [[], []]
    said.append(Refusal("not_allowed", "No."))
    assert happened(order.send(wish, id="c2")) == ["not_allowed"]


def test_a_deadline_that_does_not_pass_is_a_bug() -> None:
    order = Order(counter_decider(evolve=lambda state, event: Count(promises=(Deadline("first", "it", at(10)),))))
    order.send(add())
    with pytest.raises(RuntimeError, match="is held again whenever it expires"):
        order.ring(11)


def test_a_message_for_another_service_is_no_part_of_the_order_itself() -> None:
    order = Order(counter_decider(decide=passing_on))
    added, passed_on = order.send(add(5))
    assert (added.topic, passed_on.topic) == ("order.events", "refund.commands")
    assert order.stream.state == order.refolded().state == Count(total=5)


def test_fields_that_are_stamped_come_from_the_state_that_an_event_leads_to() -> None:
    order = Order(counter_decider(stamp=lambda state, event: {"total": state.total * 10}))
    [added] = order.send(add(5))
    assert isinstance(added.message, Added)
    assert added.message.total == 50
    assert order.stream.state == Count(total=5)
