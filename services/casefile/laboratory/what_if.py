"""What would a policy have changed? Recorded cases, played under a draft with the same acts at the same instants (N12).

Each is first played under the policy it lived under. Only where that comes out exactly as it was recorded, every event
and all money, is anything said of it. Who was refused did not act otherwise instead: that he could not is said, and no
more.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from services.casefile.laboratory.comparing import difference, differences, ended, money_of, refused, run_out, types_of
from services.casefile.laboratory.drafts import Draft, without
from services.casefile.laboratory.laboratory_shapes import (
    ActsImpossible,
    CaseDiffers,
    Difference,
    MoneyMoved,
    NotPlayed,
    WhatIf,
)
from services.casefile.laboratory.recorded import CannotPlay, Recorded, recorded
from services.casefile.laboratory.rehearsing import Rehearsal
from services.casefile.shown.reading import Found
from services.casefile.shown.shapes import PAGE_MAX
from shared.kernel.policies import Policies

CASES_MAX = 1_000
"""So many are looked at in one go."""


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
    was = Rehearsal(case, Policies({**without(case.policy.name, known), case.policy: policy})).run()
    if (wrong := difference(case, was)) is not None:
        raise CannotPlay(wrong)
    would_be = Rehearsal(case, of.instead_of(case.policy, known), was.outside).run()
    before, after = ended(was.said), ended(would_be.said)
    types, others = types_of(was.said), types_of(would_be.said)
    differs = CaseDiffers(
        order_id=case.order_id,
        policy=case.policy,
        currency=case.currency,
        differs_in=[],
        was=before,
        would_be=after,
        gone=dict(types - others),
        new=dict(others - types),
        impossible=refused(case, would_be, was),
        possible=refused(case, was, would_be),
        is_open=any(one.at > case.until for one in was.said),
        undecided=sorted(run_out(would_be.said) - run_out(was.said)),
        forgotten=list(case.forgotten),
        not_asked_for=would_be.not_asked_for,
    )
    return Compared(differs.model_copy(update={"differs_in": list(differences(differs))}))


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
        buyer, seller, commission = money_of(case.was)
        buyer_would_be, seller_would_be, commission_would_be = money_of(case.would_be)
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


def together(one: WhatIf, more: WhatIf) -> WhatIf:
    """Of two parts of the same question, the second one behind the first."""
    names = ("looked_at", "reproduced", "differing", "open", "undecided", "forgotten")
    money: dict[str, Counter[str]] = defaultdict(Counter)
    impossible: Counter[tuple[str, str]] = Counter()
    for part in (one, more):
        for sums in part.money:
            money[sums.currency].update(sums.model_dump(exclude={"currency"}))
        impossible.update({(act.type, act.code): act.acts for act in part.impossible})
    return WhatIf(
        **{name: getattr(one, name) + getattr(more, name) for name in names},
        draft=one.draft,
        differs_in=dict(Counter(one.differs_in) + Counter(more.differs_in)),
        money=[MoneyMoved(currency=currency, **sums) for currency, sums in sorted(money.items())],
        impossible=[
            ActsImpossible(type=type_, code=code, acts=acts) for (type_, code), acts in sorted(impossible.items())
        ],
        cases=[*one.cases, *more.cases][:PAGE_MAX],
        not_played=[*one.not_played, *more.not_played][:PAGE_MAX],
        next=more.next,
    )
