"""What letters claim is what happened (R79): every letter of random histories is written, in each language, and held
against the records, by an arithmetic of its own."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from schemas.instants import rfc3339
from schemas.notification.events import Queued
from services.notification.letters import letter
from services.notification.policy import BETWEEN_LETTERS_ABOUT_MESSAGES
from tests.simulation.plan import draw
from tests.simulation.play import Played, play

HISTORIES = 30
AMOUNT = re.compile(r"(\d+)\.(\d\d) EUR")
INSTANT = re.compile(r"(\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d:\d\d) UTC")


@dataclass(frozen=True)
class Said:
    """An event on the bus."""

    type: str
    at: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A letter, the event that it tells, and all that was said of its order."""

    queued: Queued
    text: str
    event: Said
    before: Sequence[Said]
    """Of the order, until then and this one too."""

    @property
    def data(self) -> dict[str, Any]:
        return self.event.data

    def earlier(self, type_: str, **fields: Any) -> list[Said]:
        """Of this order, whatever comes of the same moment too."""
        return [
            one
            for one in self.before
            if one.type == type_ and all(one.data.get(name) == value for name, value in fields.items())
        ]


def everything(value: Any) -> Iterator[Any]:
    """All values of an event, at every depth."""
    match value:
        case dict():
            for part in value.values():
                yield from everything(part)
        case list():
            for part in value:
                yield from everything(part)
        case _:
            yield value


def untrue(told: Told) -> Iterator[str]:
    ours = re.sub(r"^> .*$", "", told.text, flags=re.MULTILINE)
    values = list(everything(told.data))
    if "rest_minor" in told.data:
        values.append(told.data["amount_minor"] + told.data["rest_minor"])  # what was to be moved
    for major, minor in AMOUNT.findall(ours):
        if int(major + minor) not in values:
            yield f"the amount {major}.{minor} is not the event's"
    for instant in INSTANT.findall(ours):
        at = datetime.strptime(f"{instant} +0000", "%d %B %Y, %H:%M:%S %z")
        if not any(isinstance(one, str) and one.startswith(rfc3339(at)[:19]) for one in values):
            yield f"the instant {instant} is not the event's"
    for sentence, is_true in CLAIMS.items():
        if re.search(sentence, ours) and not is_true(told):
            yield f"it is not true that: {sentence}"


def _by_hand(told: Told) -> bool:
    """Nobody but an operator said that it is done."""
    data = told.data
    return bool(data.get("note")) and data["actor"]["role"] == "operator"


def _moved_by_the_provider(told: Told) -> bool:
    key = f"{told.data['settlement_id']}/{told.data['leg']}"
    return bool(told.earlier("payment.settled.v1", payment_key=key))


def _refunded(told: Told) -> int:
    """What went to the buyer so far: by splits, by cancelling, and by giving back."""
    types = ("order.settled.v1", "order.cancelled.v1", "order.lines_cancelled.v1", "order.refunded.v1")
    return sum(one.data["refund_minor"] for type_ in types for one in told.earlier(type_))


def _captured(told: Told) -> int:
    return int(told.earlier("order.placed.v1")[0].data["total_minor"])


def _nothing_left(told: Told) -> bool:
    """No line was released that may still be disputed."""
    until = told.data.get("disputable_until")
    return until is None or until <= rfc3339(told.queued.event_at)


def _agreed(told: Told) -> bool:
    """Of what is closed its outcome says so, of goods that are to move first the basis."""
    return bool((told.data.get("outcome") or told.data["basis"]) == "offer_accepted")


CLAIMS: dict[str, Callable[[Told], bool]] = {
    r"It goes the way you paid": lambda told: _moved_by_the_provider(told) and not _by_hand(told),
    r"by other means": _by_hand,
    r"We have paid .* to you": lambda told: _moved_by_the_provider(told) and not _by_hand(told),
    r"were taken from your balance": lambda told: _moved_by_the_provider(told) and not _by_hand(told),
    r"In all .* went back to the buyer": lambda told: (
        told.data["refund_minor"] == _refunded(told) > 0
        and told.data["refund_minor"] + told.data["release_minor"] == _captured(told)
    ),
    r"the whole price": lambda told: _refunded(told) == 0 and told.data["release_minor"] == _captured(told),
    r"There is nothing left to do": _nothing_left,
    r"you can open a dispute over what went to the seller until": lambda told: not _nothing_left(told),
    r"You may dispute again until": lambda told: told.data["reopenable_until"] is not None,
    r"You cannot dispute again: that is open": lambda told: told.data["reopenable_until"] is None,
    r"No appeal is possible": lambda told: told.data.get("appeal_until") is None,
    r"you can appeal by": lambda told: told.data.get("appeal_until") is not None,
    r"You have agreed": _agreed,
    r"The buyer did not answer the mediator in time, so the dispute": lambda told: (
        told.data["outcome"] == "buyer_silent"
    ),
    r"You have confirmed that you received": lambda told: bool(told.earlier("order.receipt_confirmed.v1")),
    r"The protection of this order has ended": lambda told: (
        told.data["protection_ends_at"] <= rfc3339(told.queued.event_at)
    ),
    r"It replaces your earlier one": lambda told: len(told.earlier("dispute.offer_made.v1", by=told.data["by"])) > 1,
}
"""Sentence -> whether it is so."""


def letters_of(played: Played) -> Iterator[Told]:
    by_order: defaultdict[str, dict[str, Said]] = defaultdict(dict)
    for record in played.world.bus.heard:
        if record.topic.endswith(".events"):
            headers = {name: (value or b"").decode() for name, value in record.headers}
            said = Said(headers["ce_type"], headers.get("ce_time", ""), json.loads(record.value or b"{}"))
            by_order[(record.key or b"").decode()][headers["ce_id"]] = said
    for queued in {mail.delivery_id: mail for mail in played.world.mails}.values():
        records = by_order[queued.order_id].values()
        at = rfc3339(queued.event_at)
        told = [one for one in records if one.type == queued.event_type and one.at == at]
        for event in told[:1] if len({str(one.data) for one in told}) == 1 else []:  # else nobody knows which it was
            before = [one for one in records if one.at <= at]
            yield Told(queued, letter(queued.model_copy(update={"locale": "en"})).text, event, before)


@pytest.fixture(scope="module")
def histories() -> list[Played]:
    return [play(draw(seed)) for seed in range(1_000, 1_000 + HISTORIES)]


@pytest.mark.rule("R79")
@pytest.mark.timeout(300)
def test_every_letter_of_random_histories_is_true(histories: list[Played]) -> None:
    told = [one for played in histories for one in letters_of(played)]
    wrong = [f"{one.queued.template} to the {one.queued.recipient.role}: {why}" for one in told for why in untrue(one)]
    assert not wrong, sorted(set(wrong))
    assert len({one.queued.template for one in told}) > 25
    claimed = {sentence for sentence in CLAIMS for one in told if re.search(sentence, one.text)}
    assert len(claimed) > len(CLAIMS) // 2, sorted(CLAIMS.keys() - claimed)


@pytest.mark.rule("R79")
def test_every_letter_of_random_histories_can_be_written_in_every_language(histories: list[Played]) -> None:
    for played in histories[:10]:
        for mail in played.world.mails:
            for locale in ("de", "ar"):
                written = letter(mail.model_copy(update={"locale": locale, "time_zone": "Asia/Kolkata"}))
                assert mail.order_id in written.text


@pytest.mark.rule("R79")
def test_nobody_is_told_too_often(histories: list[Played]) -> None:
    for played in histories:
        about: defaultdict[tuple[str, ...], list[datetime]] = defaultdict(list)
        completed: defaultdict[tuple[str, ...], list[Queued]] = defaultdict(list)
        for mail in {one.delivery_id: one for one in played.world.mails}.values():
            if mail.template == "dispute.message_sent":
                key = (mail.order_id, mail.facts["dispute_id"], mail.recipient.id)
                about[key].append(mail.not_before or mail.event_at)
            if mail.template == "order.completed":
                completed[mail.order_id, mail.recipient.id].append(mail)
        for instants in about.values():
            spans = [later - earlier for earlier, later in pairwise(sorted(instants))]
            assert all(span >= BETWEEN_LETTERS_ABOUT_MESSAGES for span in spans)
        for mails in completed.values():
            mails.sort(key=lambda mail: mail.event_at)
            totals = [(mail.facts["refund_minor"], mail.facts["release_minor"]) for mail in mails]
            assert all(now != before for before, now in pairwise(totals))


@pytest.mark.rule("R79")
def test_a_letter_that_is_not_true_is_found() -> None:
    written = (one for seed in range(HISTORIES) for one in letters_of(play(draw(seed))))
    one = next(one for one in written if one.queued.template == "order.placed")
    assert not [*untrue(one)]
    assert [*untrue(Told(one.queued, "7.77 EUR", one.event, one.before))]
    later = one.queued.event_at + timedelta(days=400)
    assert [*untrue(Told(one.queued, f"1 March {later.year}, 12:00:00 UTC", one.event, one.before))]
    assert [*untrue(Told(one.queued, "It was paid by other means", one.event, one.before))]
