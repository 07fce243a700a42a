"""How it goes to mediation, and how it ends (R28–R37, C4)."""

from typing import Literal

from pydantic import Field

from schemas.common import Evidence, Offer, Party, PolicyRef, RemindAt
from schemas.dispute.events.claim import DisputeEvent
from schemas.dispute.shapes import EscalationCause, FiledEvidence, OfferNumber, Outcome, Round, Side
from schemas.example import APPEALABLE, BEA, BUYER, PHOTO, POLICY, SAM, SELLER, TERMS, fields
from schemas.instants import Instant
from schemas.wire import Id, Minor


class DisputeEscalated(DisputeEvent):
    """From here on mediation alone judges (R37).

    `offers` are all that are open now, of any earlier round too: the claim, which is the buyer's one, and the
    seller's if he made one. After a contested return the claim asks for no second return.
    """

    type = "dispute.escalated.v1"
    example = fields(
        actor=BUYER,
        status="in_mediation",
        round=1,
        by="buyer",
        cause="rejected",
        statement="He offers nothing for a broken lamp.",
        buyer=BEA,
        seller=SAM,
        policy=POLICY,
        claimed_minor=1_250,
        received=True,
        offers=[{"offer_id": 1, "by": "buyer", "terms": TERMS}],
        last_offer_id=1,
        evidence_ids=["e1"],
        filed=[{"evidence_id": "e1", "by": "buyer"}],
    )

    round: Round
    by: Literal["buyer", "system"] = Field(description="`system`: it happened by itself")
    cause: EscalationCause = Field(
        description="of the buyer: the seller said no, or had his time (`window`, C1), or the replacement went wrong "
        "(R34); by itself: C2, or the seller contested the return (R51), or it did not arrive and he was silent (R71)"
    )
    statement: str | None = Field(default=None, description="the buyer's, for the mediator")
    buyer: Party
    seller: Party
    policy: PolicyRef
    claimed_minor: Minor = Field(description="the most that can be refunded (R18b)")
    received: bool | None = Field(
        default=None, description="whether anything arrived: what never came is not sent back (R73); null: not told"
    )
    offers: tuple[Offer, ...]
    last_offer_id: OfferNumber = Field(description="the numbering of offers goes on from here")
    evidence_ids: tuple[Id, ...] = Field(default=(), description="all that were filed so far, by either party")
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="the same, each with who showed it")


class DisputeDecided(DisputeEvent):
    """The money stays put until `appeal_until` (C4). Once it is final a return is awaited or the dispute closed."""

    type = "dispute.decided.v1"
    example = fields(
        status="decided",
        deadlines=APPEALABLE,
        round=1,
        refund_minor=900,
        release_minor=350,
        return_required=False,
        by="mediator",
        cause=None,
        appeal_until="2026-04-14T11:05:00.000Z",
        last_offer_id=3,
        remind_at="2026-04-12T11:05:00.000Z",
    )

    round: Round
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller: the rest of the disputed lines")
    return_required: bool = Field(description="the goods go back first (R51)")
    by: Literal["mediator", "default"] = Field(description="`default`: silence or time decided (R40, R41, R48)")
    cause: Literal["buyer_silent", "seller_silent", "mediation_max"] | None = Field(description="of a default")
    appeal_until: Instant | None = Field(description="null: final")
    remind_at: RemindAt = None
    last_offer_id: OfferNumber | None = Field(
        default=None, description="the highest number of an offer so far, here and in mediation (R82); null: not told"
    )


class DisputeAppealed(DisputeEvent):
    """The one second review; its verdict is final."""

    type = "dispute.appealed.v1"
    example = fields(
        actor=SELLER,
        status="in_mediation",
        round=2,
        by="seller",
        explanation="The new photo shows that the parcel was intact.",
        evidence=[PHOTO],
        filed=[{"evidence_id": "e1", "by": "buyer"}],
    )

    round: Round
    by: Side = Field(description="who appeals")
    explanation: str = Field(description="what is wrong with the decision, for the mediator")
    evidence: tuple[Evidence, ...] = ()
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="all that were filed so far, these too")


class AppealWaived(DisputeEvent):
    """One party accepts the decision. Once both have, it is carried out at once (C4)."""

    type = "dispute.appeal_waived.v1"
    example = fields(actor=BUYER, status="decided", deadlines=APPEALABLE, by="buyer")

    by: Side = Field(description="who accepts it")


class DisputeCancelled(DisputeEvent):
    """The buyer gave his claim up, or his silence in mediation did (R30, R31, R40). `dispute.closed` follows."""

    type = "dispute.cancelled.v1"
    example = fields(actor=BUYER, status="closed", reopenable_until="2026-05-03T15:30:00.000Z")

    reopenable_until: Instant | None = Field(description="null: the lines are the seller's, final (R31)")


class DisputeClosed(DisputeEvent):
    """`refund_minor` + `release_minor` are the disputed lines; both 0 when they go back to what they were (R30). The
    order service splits the money (`order.settled`), releases the lines or unfreezes them."""

    type = "dispute.closed.v1"
    example = fields(status="closed", outcome="decided", refund_minor=900, release_minor=350, final=True)

    outcome: Outcome = Field(
        description="how it ended: agreed; granted (`seller_silent`, C2); decided; given up; `return_not_shipped` "
        "(R51); `replaced` (C10)"
    )
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller, in minor units of the order's currency")
    final: bool = Field(description="false: cancelled in time, the lines may be disputed again (R30)")
