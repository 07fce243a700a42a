"""What the policy laboratory answers: what would have become of recorded cases under a draft (N12)."""

from typing import Any, Literal

from pydantic import Field

from schemas.common import PolicyRef
from schemas.instants import Instant
from schemas.wire import Currency, Role
from services.casefile.shown.shapes import Shown

Difference = Literal["outcome", "money", "end", "events", "acts"]
"""`end`: when the last of it happens, by a second or more; `acts`: one is answered otherwise."""


class DraftFault(Shown):
    """Something that is wrong with a draft."""

    sentence: str
    key: str | None = Field(default=None, description="such as `protection.unit`; null: it is about no key")
    line: int | None = None


class DiffersKey(Shown):
    """A key that says something else in the one policy than in the other."""

    key: str
    about: str = Field(description="what it is, with the rules that it feeds")
    one: Any
    other: Any


class EndedAs(Shown):
    """What a case comes to."""

    outcome: dict[str, str] = Field(description="order, and each dispute by its id -> how it ended")
    buyer_minor: int = Field(description="given back to the buyer")
    seller_minor: int = Field(description="paid out to the seller, less what was charged back to him")
    commission_minor: int = Field(description="kept by the platform (R69)")
    ends_at: Instant = Field(description="when the last of it happens")


class AnsweredOtherwise(Shown):
    """An act that was obeyed, and would have been refused; or the other way round."""

    command_id: str
    type: str = Field(description="of the command, without its version")
    role: Role
    at: Instant
    names: dict[str, Any] = Field(
        description="what it names by number or id (offer_id, settlement_id): under the draft that may be another "
        "thing, or none"
    )
    code: str = Field(description="why it is refused, there or here")
    message: str


class CaseDiffers(Shown):
    """A case that would have gone otherwise."""

    order_id: str
    policy: PolicyRef = Field(description="that it lived under")
    currency: Currency
    differs_in: list[Difference]
    was: EndedAs
    would_be: EndedAs
    gone: dict[str, int] = Field(description="events that would not have been, by type without its version")
    new: dict[str, int] = Field(description="events that would have been besides")
    impossible: list[AnsweredOtherwise] = Field(description="acts that would have been refused")
    possible: list[AnsweredOtherwise] = Field(description="acts that were refused, and would not have been")
    is_open: bool = Field(description="it has not ended: what follows if nobody acts is compared, and no sum has it")
    undecided: list[str] = Field(
        description="disputes that would have waited for a decision which no mediator ever made: no sum has the case"
    )
    not_asked_for: list[str] = Field(
        description="movements of money that came back then, and that there would not have been: they do not come back"
    )
    forgotten: list[str] = Field(description="acts that are not known any more, so that they were not tried")


class NotPlayed(Shown):
    """A case of which nothing is said: it cannot be played again as it was."""

    order_id: str
    why: str


class MoneyMoved(Shown):
    """Sums over all cases that ended, in life and under the draft."""

    currency: Currency
    cases: int
    buyer_minor: int
    seller_minor: int
    commission_minor: int
    buyer_would_be_minor: int
    seller_would_be_minor: int
    commission_would_be_minor: int


class ActsImpossible(Shown):
    """So many acts of a kind that would have been refused."""

    type: str
    code: str
    acts: int


class WhatIf(Shown):
    """What the recorded cases would have come to under a draft."""

    draft: str = Field(description="`name.version`, as the draft calls itself")
    looked_at: int
    reproduced: int = Field(description="played again under their own policy nothing differs; the others say nothing")
    differing: int
    differs_in: dict[Difference, int]
    open: int = Field(description="of those reproduced: not ended yet")
    undecided: int = Field(description="of those reproduced: a decision is missing that nobody ever made")
    forgotten: int = Field(description="of those reproduced: some act is not known any more")
    money: list[MoneyMoved]
    impossible: list[ActsImpossible]
    cases: list[CaseDiffers] = Field(description="the first of those that differ")
    not_played: list[NotPlayed] = Field(description="the first of those that were not reproduced")
    next: str | None = Field(default=None, description="where to go on; null: these were all")
