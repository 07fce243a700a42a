"""Money that goes back without a quarrel (R5, R5b, R64): of what is not shipped, and what is given back of the rest."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from schemas.order import commands, events, shapes
from services.order.disputing import NO_LINE, hindrance
from services.order.lines import Final, Held, Line, Released, Unshipped, settlement_id
from services.order.states import AwaitingShipment, Order, ProcessingReminderLapsed, ShippedOrder, unshipped
from shared.kernel.decider import Output, Refusal
from shared.rules.refusals import first
from shared.rules.reminding import shown_to

ByOthers = Literal["seller", "operator", "not_shipped"]
Cause = Literal["buyer"] | ByOthers

NOT_THE_BUYERS = Refusal("not_allowed", "Only the seller or an operator cancels single lines.")


def unknown_line(order: Order, command: commands.Cancel | commands.RefundLines) -> Refusal | None:
    names = {line if isinstance(line, str) else line.line_id for line in command.lines or ()}
    return None if names <= {line.line_id for line in order.lines} else NO_LINE


def cancel(order: AwaitingShipment | ShippedOrder, wish: commands.Cancel) -> Output:
    """All of it while nothing is shipped; some lines while there are others, or what is in no parcel yet (R66)."""
    match wish.actor.role:
        case "seller" | "operator" as by:
            pass
        case _ if isinstance(order, AwaitingShipment):
            return cancelled(order, "buyer", wish.reason)
        case _:
            return Refusal("wrong_state", "A part of the order is shipped: what is not, only the seller can cancel.")
    left = unshipped(order)
    names = {line.line_id for line in left} if wish.lines is None else set(wish.lines)
    chosen = [line for line in left if line.line_id in names]
    if not chosen or len(chosen) < len(names):
        return Refusal(
            "wrong_state", "Nothing is left to cancel of a line of these: it was shipped or cancelled before."
        )
    if isinstance(order, AwaitingShipment) and len(chosen) == len(left):
        return cancelled(order, by, wish.reason)
    return _lines_cancelled(order, chosen, by, wish.reason)


def not_shipped(order: AwaitingShipment | ShippedOrder) -> events.Cancelled | events.LinesCancelled:
    """The time to ship is over: what is in no parcel goes back to the buyer (R5b, R66)."""
    if isinstance(order, AwaitingShipment):
        return cancelled(order, "not_shipped")
    return _lines_cancelled(order, unshipped(order), "not_shipped")


def cancelled(order: AwaitingShipment, cause: Cause, reason: str | None = None) -> events.Cancelled:
    """Everything that is left goes back to the buyer (R5, R5b)."""
    return events.Cancelled(
        settlement_id=settlement_id(order.sale.order_id, order.settlements + 1),
        refund_minor=sum(line.left_minor for line in unshipped(order)),
        cause=cause,
        reason=reason,
    )


def _lines_cancelled(
    order: AwaitingShipment | ShippedOrder, gone: Sequence[Line], cause: ByOthers, reason: str | None = None
) -> events.LinesCancelled:
    return events.LinesCancelled(
        settlement_id=settlement_id(order.sale.order_id, order.settlements + 1),
        lines=tuple(
            shapes.CancelledLine(line_id=line.line_id, refund_minor=line.left_minor, pieces=line.numbers)
            for line in gone
        ),
        refund_minor=sum(line.left_minor for line in gone),
        cause=cause,
        reason=reason,
    )


def reminded(order: AwaitingShipment | ShippedOrder, time: datetime) -> Output:
    """What the seller loses if he goes on doing nothing (R68)."""
    if time >= order.processing.ends_at:
        return ProcessingReminderLapsed()
    otherwise = not_shipped(order)
    return events.OrderReminded(
        clock="processing_ends",
        to="seller",
        ends_at=order.processing.ends_at,
        otherwise="cancelled" if isinstance(otherwise, events.Cancelled) else "lines_cancelled",
        refund_minor=otherwise.refund_minor,
        release_minor=0,
        visible_to=shown_to("seller"),
    )


def refund(order: AwaitingShipment | ShippedOrder, wish: commands.RefundLines) -> Output:
    """Of what is in escrow, shipped or not, up to what is left of each line (R64)."""
    amounts = {line.line_id: line.refund_minor for line in wish.lines}
    chosen = dict.fromkeys(line.line_id for line in order.lines if line.line_id in amounts)
    if refusal := first(*(_hindrance(order, line_id, amounts[line_id]) for line_id in chosen)):
        return refusal
    return events.LinesRefunded(
        settlement_id=settlement_id(order.sale.order_id, order.settlements + 1),
        lines=wish.lines,
        refund_minor=sum(amounts.values()),
        by="seller" if wish.actor.role == "seller" else "operator",
        reason=wish.reason,
    )


def _hindrance(order: Order, line_id: str, refund_minor: int) -> Refusal | None:
    """Pieces that are not in escrow any more do not hinder what goes back of the others (R65)."""
    parts = [line for line in order.lines if line.line_id == line_id]
    escrow = [line.left_minor for line in parts if isinstance(line.standing, Unshipped | Held)]
    return _too_much(sum(escrow), refund_minor) if escrow else first(*map(_not_in_escrow, parts))


def _not_in_escrow(line: Line) -> Refusal | None:
    match line.standing:
        case Released():
            return Refusal("wrong_state", "This money is the seller's already.")
        case Final():
            return Refusal("wrong_state", "What becomes of this money is settled.")
    return hindrance(line)


def _too_much(left_minor: int, refund_minor: int) -> Refusal | None:
    if refund_minor <= left_minor:
        return None
    return Refusal("amount_exceeds", "This is more than is left of the line.", {"max_minor": left_minor})
