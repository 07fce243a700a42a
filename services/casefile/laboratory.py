"""What would a policy have changed? Recorded cases, played under a draft with the same acts at the same instants (N12).

Each is first played under the policy it lived under. Only where that comes out exactly as it was recorded, every event
and all money, is anything said of it. Who was refused did not act otherwise instead: that he could not is said, and no
more.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from schemas.common import PolicyRef
from schemas.instants import EPOCH
from schemas.policy import Policy
from schemas.wire import Event
from services.casefile.laboratory_shapes import (
    ActsImpossible,
    AnsweredOtherwise,
    CaseDiffers,
    Difference,
    DiffersKey,
    DraftFault,
    EndedAs,
    MoneyMoved,
    NotPlayed,
    WhatIf,
)
from services.casefile.reading import Found
from services.casefile.recorded import CannotPlay, Recorded, Spoken, recorded
from services.casefile.rehearsing import Rehearsal, Rehearsed
from services.casefile.shapes import PAGE_MAX
from shared.kernel.policies import Policies
from shared.rules import policies

CASES_MAX = 1_000
"""So many are looked at in one go."""
DRAFT_BYTES_MAX = 64 * 1024
ADDRESSES = frozenset({"email", "locale", "time_zone"})
"""How people are reached: no rule asks, and who is erased is erased here, too (R74)."""
GIVEN = ("offer_id", "settlement_id", "dispute_id", "question_id", "parcel_id")
ALIKE = timedelta(seconds=1)
ABOUT = ("name", "version")
"""How a policy is called, which is no rule."""


# -- drafts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """A policy that need not be published. Its name and version may be a published one's."""

    policy: Policy
    content: bytes

    @property
    def called(self) -> str:
        return f"{self.policy.name}.{self.policy.version}"

    def instead_of(self, ref: PolicyRef, known: Policies) -> Policies:
        """All that is known, but that who orders under the name of `ref` gets the draft."""
        its_own = policies.reference(self.policy, self.content).model_copy(update={"name": ref.name})
        return Policies({**_without(ref.name, known), its_own: self.policy})


def draft(text: bytes) -> Draft | list[DraftFault]:
    """The YAML of a policy; or all that is wrong with it."""
    if len(text) > DRAFT_BYTES_MAX:
        return [DraftFault(sentence=f"A policy has {DRAFT_BYTES_MAX // 1024} KiB at most.")]
    policy, faults = policies.examined(text)
    if policy is None:
        return [DraftFault(sentence=str(one), key=one.key or None, line=one.line) for one in faults]
    return Draft(policy, text)


def differing_keys(one: Policy, other: Policy) -> list[DiffersKey]:
    """Two versions side by side: what they say otherwise, in the rule book's order."""
    ours, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    return [
        DiffersKey(key=key, about=model.description or "", one=ours[key], other=theirs[key])
        for key, model in Policy.model_fields.items()
        if ours[key] != theirs[key] and key not in ABOUT
    ]


def _without(name: str, known: Policies) -> dict[PolicyRef, Policy]:
    return {ref: policy for ref, policy in known.by_ref.items() if ref.name != name}


# -- one case ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """A case that was reproduced, in life and under the draft."""

    differs: CaseDiffers
    """Of one that does not, `differs_in` is empty."""

    @property
    def is_summed(self) -> bool:
        return not (self.differs.is_open or self.differs.undecided)


def cases(
    found: Iterable[Found], of: Draft, known: Policies, under: str | None = None
) -> Iterator[Compared | NotPlayed]:
    """One after the other: whoever has enough, or has to do something else, stops asking. `under`: only orders that
    lived under a policy of this name, or this `name.version`; the others are passed over."""
    for one in found:
        try:
            case = recorded(one)
            if under in (None, case.policy.name, f"{case.policy.name}.{case.policy.version}"):
                yield _compared(case, of, known)
        except CannotPlay as reason:
            yield NotPlayed(order_id=one.order_id, why=str(reason))


def _compared(case: Recorded, of: Draft, known: Policies) -> Compared:
    """Raises CannotPlay."""
    policy = known.by_ref.get(case.policy)
    if policy is None:
        raise CannotPlay(f"It lived under {case.policy.name} version {case.policy.version}, which is not known here.")
    was = Rehearsal(case, Policies({**_without(case.policy.name, known), case.policy: policy})).run()
    if (wrong := difference(case, was)) is not None:
        raise CannotPlay(wrong)
    would_be = Rehearsal(case, of.instead_of(case.policy, known), was.outside).run()
    before, after = _ended(was.said), _ended(would_be.said)
    types, others = _types(was.said), _types(would_be.said)
    differs = CaseDiffers(
        order_id=case.order_id,
        policy=case.policy,
        currency=case.currency,
        differs_in=[],
        was=before,
        would_be=after,
        gone=dict(types - others),
        new=dict(others - types),
        impossible=_refused(case, would_be, was),
        possible=_refused(case, was, would_be),
        is_open=any(one.at > case.until for one in was.said),
        undecided=sorted(_run_out(would_be.said) - _run_out(was.said)),
        forgotten=list(case.forgotten),
    )
    return Compared(differs.model_copy(update={"differs_in": list(_differences(differs))}))


def difference(case: Recorded, played: Rehearsed) -> str | None:
    """What came out otherwise than it was recorded; None: nothing. What is foreseen of an open case is not compared."""
    said: dict[str, list[Spoken]] = defaultdict(list)
    for one in played.said:
        said[one.service].append(one)
    for service, ones in case.said.items():
        for then, now in zip(ones, said[service], strict=False):
            if then.at != now.at or not _alike(then.event, now.event):
                return f"{_type(then.event)} of {then.at:%Y-%m-%d %H:%M:%S} comes out otherwise."
        left = ones[len(said[service]) :] or [one for one in said[service][len(ones) :] if one.at <= case.until]
        if left:
            return f"{_type(left[0].event)} of {left[0].at:%Y-%m-%d %H:%M:%S} is there once too often or not at all."
    refusals, again = (Counter((one.command_id, one.code) for one in all_) for all_ in (case.refusals, played.refusals))
    if refusals != again:
        ((command_id, code), _) = next(iter(((refusals - again) or (again - refusals)).items()))
        return f"The command {command_id} is refused as {code} once too often or not at all."
    return None


def _alike(then: Event, now: Event) -> bool:
    """All that was said, how people are reached apart. An older version did not say what it did not know."""
    if then == now:
        return True
    if type(then) is not type(now):
        return False
    said = then.model_dump(mode="json", include=then.model_fields_set)
    again = now.model_dump(mode="json", include=then.model_fields_set)
    return bool(_unaddressed(said) == _unaddressed(again))


def _unaddressed(value: Any) -> Any:
    match value:
        case dict():
            return {name: _unaddressed(part) for name, part in value.items() if name not in ADDRESSES}
        case list():
            return [_unaddressed(part) for part in value]
    return value


def _ended(said: Sequence[Spoken]) -> EndedAs:
    outcome: dict[str, str] = {}
    buyer = seller = commission = 0
    ends_at = EPOCH
    for one in said:
        event: Any = one.event
        match event.type:
            case "order.lines_released.v1":
                commission += event.commission_minor
            case "order.settled.v1":
                commission += event.commission_minor - event.commission_returned_minor
            case "dispute.closed.v1":
                outcome[event.dispute_id] = event.outcome
            case "dispute.open_refused.v1" if event.visible_to is None:
                outcome[event.dispute_id] = "refused"
            case "refund.overdue.v1":
                continue  # said again and again, and nothing happens
        if one.service == "order" and getattr(event, "status", None):
            outcome["order"] = f"cancelled ({event.cause})" if event.type == "order.cancelled.v1" else event.status
        if one.service == "refund":
            to_buyer, to_seller = _moved(event)
            buyer, seller = buyer + to_buyer, seller + to_seller
        ends_at = max(ends_at, one.at)
    return EndedAs(
        outcome=outcome, buyer_minor=buyer, seller_minor=seller, commission_minor=commission, ends_at=ends_at
    )


def _moved(event: Any) -> tuple[int, int]:
    """(to the buyer, to the seller), by the refund service's word; what came back is below 0."""
    match event.type:
        case "refund.settled.v1":
            return event.refund_minor, 0
        case "refund.paid_out.v1" | "refund.charged_back.v1" | "refund.moved_in_part.v1" | "refund.moved_too_much.v1":
            minor: int = event.amount_minor
        case "refund.reversed.v1" | "refund.excess_returned.v1":
            minor = -event.amount_minor
        case _:
            return 0, 0
    match event.leg:
        case "refund":
            return minor, 0
        case "payout":
            return 0, minor
        case "chargeback":
            return 0, -minor
    return 0, 0


def _types(said: Sequence[Spoken]) -> Counter[str]:
    return Counter(_type(one.event) for one in said)


def _type(event: Event) -> str:
    return event.type.rpartition(".")[0]


def _refused(case: Recorded, there: Rehearsed, here: Rehearsed) -> list[AnsweredOtherwise]:
    """Acts that are refused there and obeyed here."""
    refusals, obeyed = _refusals(there), _refusals(here).keys()
    found = []
    for act in case.acts:
        command: Any = act.input.payload
        refusal = refusals.get(act.input.id)
        if refusal is None or act.input.id in obeyed or getattr(command, "actor", None) is None:
            continue
        names = {name: said for name in GIVEN if (said := getattr(command, name, None)) is not None}
        code, message = refusal
        found.append(
            AnsweredOtherwise(
                command_id=act.input.id,
                type=act.input.type.rpartition(".")[0],
                role=command.actor.role,
                at=act.input.time,
                names=names,
                code=code,
                message=message,
            )
        )
    return found


def _refusals(played: Rehearsed) -> dict[str, tuple[str, str]]:
    """Command -> code and words of its refusal, which of a claim comes later than its first answer."""
    found = {one.command_id: (one.code, one.message) for one in played.refusals}
    for one in played.said:
        event: Any = one.event
        if event.type == "dispute.open_refused.v1" and event.command_id is not None:
            found[event.command_id] = event.code, event.message
    return {command_id: (str(code), message) for command_id, (code, message) in found.items()}


def _run_out(said: Sequence[Spoken]) -> set[str]:
    """Disputes that a round's time has decided, and nobody else."""
    events: Iterator[Any] = (one.event for one in said)
    return {one.dispute_id for one in events if one.type == "mediation.defaulted.v1" and one.cause == "mediation_max"}


def _differences(case: CaseDiffers) -> Iterator[Difference]:
    was, would_be = case.was, case.would_be
    if was.outcome != would_be.outcome:
        yield "outcome"
    if _money(was) != _money(would_be):
        yield "money"
    if abs(was.ends_at - would_be.ends_at) >= ALIKE:
        yield "end"
    if case.gone or case.new:
        yield "events"
    if case.impossible or case.possible:
        yield "acts"


def _money(ended: EndedAs) -> tuple[int, int, int]:
    return ended.buyer_minor, ended.seller_minor, ended.commission_minor


# -- all of them -------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What is known so far; of differing and of unplayed cases the first are kept, all are counted."""

    of: Draft
    counts: Counter[str] = field(default_factory=Counter)
    differs_in: Counter[Difference] = field(default_factory=Counter)
    money: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    impossible: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: list[CaseDiffers] = field(default_factory=list)
    not_played: list[NotPlayed] = field(default_factory=list)

    def add(self, one: Compared | NotPlayed) -> None:
        self.counts["looked_at"] += 1
        if isinstance(one, NotPlayed):
            self.not_played += [one][: PAGE_MAX - len(self.not_played)]
            return
        case = one.differs
        self.counts["reproduced"] += 1
        self.counts["open"] += case.is_open
        self.counts["undecided"] += bool(case.undecided)
        self.counts["forgotten"] += bool(case.forgotten)
        self.differs_in.update(case.differs_in)
        self.impossible.update((act.type, act.code) for act in case.impossible)
        if one.is_summed:
            self._sum(case)
        if case.differs_in:
            self.counts["differing"] += 1
            self.cases += [case][: PAGE_MAX - len(self.cases)]

    def _sum(self, case: CaseDiffers) -> None:
        buyer, seller, commission = _money(case.was)
        buyer_would_be, seller_would_be, commission_would_be = _money(case.would_be)
        self.money[case.currency].update(
            cases=1,
            buyer_minor=buyer,
            seller_minor=seller,
            commission_minor=commission,
            buyer_would_be_minor=buyer_would_be,
            seller_would_be_minor=seller_would_be,
            commission_would_be_minor=commission_would_be,
        )

    def told(self, next_: str | None = None) -> WhatIf:
        names = ("looked_at", "reproduced", "differing", "open", "undecided", "forgotten")
        return WhatIf(
            **{name: self.counts[name] for name in names},
            draft=self.of.called,
            differs_in=dict(self.differs_in),
            money=[MoneyMoved(currency=currency, **sums) for currency, sums in sorted(self.money.items())],
            impossible=[
                ActsImpossible(type=type_, code=code, acts=acts)
                for (type_, code), acts in sorted(self.impossible.items())
            ],
            cases=self.cases,
            not_played=self.not_played,
            next=next_,
        )


def what_if(
    found: Iterable[Found], of: Draft, known: Policies, under: str | None = None, limit: int = CASES_MAX
) -> WhatIf:
    """Of the first orders that are given, at most `limit`; `next` is the last of them, if more may follow."""
    tally, last, given = Tally(of), None, 0
    for one in islice(found, min(limit, CASES_MAX)):
        for case in cases((one,), of, known, under):
            tally.add(case)
        last, given = one.order_id, given + 1
    return tally.told(last if given == min(limit, CASES_MAX) else None)
