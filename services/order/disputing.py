"""The conversation with the dispute service: may these lines be disputed, and how a dispute's money is split."""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from schemas.common import FrozenLine
from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.instants import rfc3339
from schemas.order import events, shapes
from schemas.policy import Policy
from schemas.wire import Event
from services.order.lines import (
    Disputed,
    Final,
    Held,
    Line,
    Released,
    Unshipped,
    claimable_minor,
    commission_minor,
    settlement_id,
    split,
)
from services.order.pieces import PARTS_MAX, cut, lowest
from services.order.states import AwaitingPayment, AwaitingShipment, CancelledOrder, Order, ShippedOrder
from shared.kernel.decider import Refusal
from shared.kernel.policies import Policies
from shared.rules.refusals import NO_REPLACEMENTS, beyond_claim, first, not_the, too_late

NO_ORDER = Refusal("not_found", "There is no such order.")
NO_LINE = Refusal("not_found", "The order has no such line.")


def requested(order: Order | None, claim: DisputeRequested, policies: Policies) -> list[Event]:
    """Freezes the claimed lines or says why not (R7, R8). A dispute that was frozen once is never frozen again."""
    if isinstance(order, ShippedOrder) and claim.dispute_id in order.disputes:
        return []
    verdict = _judge(order, claim, policies)
    if not isinstance(verdict, Refusal):
        return [verdict]
    stranger = order is None or not _is_the_buyers(order, claim)
    return [
        events.FreezeRefused(
            dispute_id=claim.dispute_id,
            code=verdict.code,
            message=verdict.message,
            details=None if verdict.details is None else dict(verdict.details),
            visible_to=("operator",) if stranger else None,
        )
    ]


def _judge(order: Order | None, claim: DisputeRequested, policies: Policies) -> events.LinesFrozen | Refusal:
    """The first refusal that applies, in the contract's order of codes; the buyer's own time counts (R0)."""
    if order is None:
        return NO_ORDER
    sale = order.sale
    policy = policies.of(sale.policy)
    chosen = _chosen(order.lines, claim, policy)
    if isinstance(chosen, Refusal):
        return chosen
    claimed_minor = sum(claimable_minor(line, quantity) for line, quantity in chosen)
    too_much = beyond_claim(claim.terms, claimed_minor)
    if too_much and too_much.code == "invalid":
        return too_much
    if not _is_the_buyers(order, claim):
        return not_the("buyer")
    if claim.terms.kind == "replacement" and not policy.replacement:
        return NO_REPLACEMENTS
    match order:
        case AwaitingPayment():
            return Refusal("too_early", "The order is not paid yet.")
        case CancelledOrder(is_paid=False):
            return Refusal("wrong_state", "The order is cancelled: it was not paid.")
        case AwaitingShipment():
            return Refusal("too_early", "The order is not shipped yet; until then it can be cancelled.")
        case CancelledOrder():
            return Refusal("wrong_state", "The order is cancelled and refunded in full.")
    hindrances = (hindrance(line) for line, _ in chosen)
    if found := first(_out_of_time(order, claim), *hindrances, _too_many_parts(order, chosen), too_much):
        return found
    return events.LinesFrozen(
        dispute_id=claim.dispute_id,
        lines=tuple(
            FrozenLine(
                line_id=line.line_id,
                quantity=quantity,
                amount_minor=line.left_minor,
                released=isinstance(line.standing, Released),
                pieces=line.numbers,
            )
            for line, quantity in chosen
        ),
        claimed_minor=claimed_minor,
        buyer=sale.buyer.only_id,
        seller=sale.seller.only_id,
        currency=sale.currency,
        policy=sale.policy,
        disputable_until=order.disputable_until,
    )


def _out_of_time(order: ShippedOrder, claim: DisputeRequested) -> Refusal | None:
    if claim.received_at < order.disputable_from:
        available_at = {"available_at": rfc3339(order.disputable_from)}
        return Refusal("too_early", "This order cannot be disputed yet.", available_at)
    return too_late(order.disputable_until) if claim.received_at > order.disputable_until else None


def _is_the_buyers(order: Order, claim: DisputeRequested) -> bool:
    return claim.actor is not None and claim.actor.role == "buyer" and claim.actor.id == order.sale.buyer.id


def _chosen(lines: Sequence[Line], claim: DisputeRequested, policy: Policy) -> list[tuple[Line, int]] | Refusal:
    """What would be frozen, and how many pieces of it are claimed, in the order's sequence.

    Without a choice all that may be disputed, or, if nothing may, all that was shipped: to say why.
    """
    if claim.lines is None:
        free = [line for line in lines if not hindrance(line)]
        sent = [line for line in lines if not isinstance(line.standing, Unshipped)]
        return [(line, line.quantity) for line in free or sent or lines]
    ordered = {line.line_id: line.ordered for line in lines}
    quantities = {asked.line_id: asked.quantity for asked in claim.lines}
    if any(quantity and quantity > ordered[name] for name, quantity in quantities.items() if name in ordered):
        return Refusal("invalid", "More pieces are claimed than were ordered.")
    if not quantities.keys() <= ordered.keys():
        return NO_LINE
    parts = {name: [line for line in lines if line.line_id == name] for name in ordered if name in quantities}
    return [one for name in parts for one in _claimed(parts[name], quantities[name], policy)]


def _claimed(parts: Sequence[Line], quantity: int | None, policy: Policy) -> Iterator[tuple[Line, int]]:
    """The lowest-numbered free pieces of a line, all of them where no number is named: by themselves (R65), or with
    those that stand with them, and then the number only bounds the claim (R18b).

    Where there are too few, rather such as are in dispute are added than unshipped ones, and those than settled ones:
    that tells what hinders.
    """
    free = sum(part.quantity for part in parts if not hindrance(part))
    for part, claimed in lowest(sorted(parts, key=_free_first), quantity or free or 1):
        match policy.disputed_pieces:
            case "whole_line":
                yield part, claimed
            case "named":
                yield cut(part, claimed)[0], claimed
            case _:
                assert_never(policy.disputed_pieces)


def _free_first(part: Line) -> int:
    match part.standing:
        case Held() | Released():
            return 0
        case Disputed():
            return 1
        case Unshipped():
            return 2
        case Final():
            return 3


def _too_many_parts(order: ShippedOrder, chosen: Sequence[tuple[Line, int]]) -> Refusal | None:
    if len({*order.lines, *(line for line, _ in chosen)}) <= PARTS_MAX:
        return None
    return Refusal("limit_exceeded", "This order is disputed in too many parts already.")


def hindrance(line: Line) -> Refusal | None:
    """Why nothing can be claimed of it."""
    match line.standing:
        case Final():
            return Refusal("wrong_state", "What was settled cannot be disputed again.")
        case Disputed():
            return Refusal("already_disputed", "A dispute about this is already open.")
        case Unshipped():
            return Refusal("too_early", "What is not shipped yet cannot be disputed.")
    return None


def closed(order: Order | None, end: DisputeClosed) -> list[Event]:
    """How the dispute ended decides where its lines go; how the money is split is decided here alone."""
    if not isinstance(order, ShippedOrder) or not (disputed := order.disputed(end.dispute_id)):
        return []  # none of ours, or told before
    if end.outcome == "cancelled" and not end.final:
        return [
            events.LinesUnfrozen(
                dispute_id=end.dispute_id,
                lines=tuple(dict.fromkeys(line.line_id for line, _ in disputed)),
                disputable_until=order.disputable_until,
            )
        ]
    settlement = settlement_id(order.sale.order_id, order.settlements + 1)
    if end.outcome in ("cancelled", "arbitration_cancelled"):
        released = [
            shapes.ReleasedLine(
                line_id=line.line_id,
                amount_minor=line.left_minor if isinstance(standing.was, Held) else 0,
                pieces=line.numbers,
            )
            for line, standing in disputed
        ]
        return [
            events.LinesReleased(
                settlement_id=settlement,
                lines=tuple(released),
                release_minor=(release_minor := sum(line.amount_minor for line in released)),
                commission_minor=commission_minor(release_minor, order.sale.commission_bps),
                final=True,
                cause="dispute_cancelled" if end.outcome == "cancelled" else "arbitration_cancelled",
                dispute_id=end.dispute_id,
            )
        ]
    shares = split(disputed, end.refund_minor)
    held = [isinstance(standing.was, Held) for _, standing in disputed]
    release_minor = sum(share.release_minor for share, was_held in zip(shares, held, strict=True) if was_held)
    chargeback_minor = sum(share.refund_minor for share, was_held in zip(shares, held, strict=True) if not was_held)
    commission = commission_minor(release_minor, order.sale.commission_bps)
    returned = _commission_of(order, order.releases) - _commission_of(order, order.releases_less(shares))
    return [
        events.Settled(
            settlement_id=settlement,
            dispute_id=end.dispute_id,
            refund_minor=sum(share.refund_minor for share in shares),
            release_minor=sum(share.release_minor for share in shares),
            lines=tuple(shares),
            payout_minor=release_minor - commission,
            chargeback_minor=chargeback_minor - returned,
            commission_minor=commission,
            commission_returned_minor=returned,
        )
    ]


def _commission_of(order: ShippedOrder, releases: Mapping[str, int]) -> int:
    """The platform's part of each release, as if no more than this had been released."""
    return sum(commission_minor(left, order.sale.commission_bps) for left in releases.values())
