"""What the seller sends, in one parcel or in several (R9, R66), in which time (R5b), and where the carrier says it is
(R67)."""

from collections.abc import Mapping
from datetime import datetime

from schemas.order import commands, events, shapes
from schemas.policy import Policy
from services.order import pieces
from services.order.disputing import NO_LINE
from services.order.lines import Line, Unshipped
from services.order.policy import CLOCK_GRACE, disputable_until, notice_at
from services.order.states import AwaitingShipment, Order, Parcel, ShippedOrder, unshipped
from shared.kernel.decider import Output, Refusal
from shared.rules.calendar import after
from shared.rules.refusals import first
from shared.rules.reminding import remind_at

NO_PARCEL = Refusal("not_found", "The order has no such parcel.")
WHICH_PARCEL = Refusal("invalid", "There are several parcels: say which one is meant.")


def misnamed(
    order: Order, command: commands.Ship | commands.CorrectTracking | commands.ReportTracking
) -> Refusal | None:
    """Lines and parcels that are not the order's, whoever says so and wherever it stands."""
    parcels = order.parcels if isinstance(order, ShippedOrder) else {}
    if not isinstance(command, commands.Ship):
        if command.parcel_id is None:
            return WHICH_PARCEL if len(parcels) > 1 else None
        return None if command.parcel_id in parcels else NO_PARCEL
    ordered = {line.line_id: line.ordered for line in order.lines}
    named = {line.line_id: line.quantity or 0 for line in command.lines or ()}
    too_many = any(quantity > ordered.get(line_id, quantity) for line_id, quantity in named.items())
    return first(
        Refusal("invalid", "More pieces are named than were ordered.") if too_many else None,
        None if named.keys() <= ordered.keys() else NO_LINE,
        Refusal("already_exists", "There is such a parcel already.") if command.parcel_id in parcels else None,
    )


def ship(order: AwaitingShipment | ShippedOrder, wish: commands.Ship, time: datetime, policy: Policy) -> Output:
    """Protection begins, or begins anew for all that is held; nobody loses any that he had (R9, R66)."""
    sent = _sent(order, wish)
    if not sent:
        return Refusal("wrong_state", "Not so much is left to ship: it was shipped or cancelled before.")
    contents = tuple(
        shapes.ShippedLine(line_id=line.line_id, quantity=line.quantity, pieces=line.numbers) for line in sent
    )
    lines = pieces.shipped(order.lines, contents)
    parcels = order.parcels if isinstance(order, ShippedOrder) else {}
    if len(lines) > pieces.PARTS_MAX or len(parcels) >= shapes.PARCELS_MAX:
        return Refusal("limit_exceeded", "This order is shipped in too many parts already.")
    rest = any(isinstance(line.standing, Unshipped) for line in lines)
    ends_at = after(time, policy.protection, policy)
    last_to_dispute = disputable_until(ends_at, policy)
    if isinstance(order, ShippedOrder):
        ends_at, last_to_dispute = max(ends_at, order.protection_ends_at), max(last_to_dispute, order.disputable_until)
    return events.Shipped(
        carrier=wish.carrier,
        tracking_number=wish.tracking_number,
        shipped_at=time,
        protection_ends_at=ends_at,
        disputable_from=order.disputable_from
        if isinstance(order, ShippedOrder)
        else after(time, policy.open_from, policy),
        disputable_until=last_to_dispute,
        reminder_at=max(notice_at(ends_at, policy), time),  # at once where the end is so near
        parcel_id=wish.parcel_id or _next_number(parcels),
        lines=contents if rest or parcels else None,
        rest_ships_by=order.processing.ends_at if rest else None,
    )


def _sent(order: AwaitingShipment | ShippedOrder, wish: commands.Ship) -> list[Line]:
    """What goes into the parcel, of each line the lowest-numbered pieces; nothing, where not so much is left."""
    left = {line.line_id: line for line in unshipped(order)}
    wanted = {line.line_id: line.quantity for line in wish.lines or ()} or dict.fromkeys(left)
    if any(name not in left or (quantity or 1) > left[name].quantity for name, quantity in wanted.items()):
        return []
    return [pieces.cut(line, wanted[name] or line.quantity)[0] for name, line in left.items() if name in wanted]


def _next_number(parcels: Mapping[str, Parcel]) -> str:
    """The first that is free: people may name theirs as they like."""
    return next(number for number in map(str, range(1, len(parcels) + 2)) if number not in parcels)


def extend_processing(
    order: AwaitingShipment | ShippedOrder, wish: commands.ExtendProcessing, time: datetime, policy: Policy
) -> Output:
    if order.processing.extensions >= policy.max_processing_extensions:
        return Refusal("limit_exceeded", "The time to ship cannot be extended again.", {"max_days": 0})
    if wish.days > policy.max_extension_days:
        days = policy.max_extension_days
        return Refusal(
            "limit_exceeded", f"The time to ship can be extended by {days} days at most.", {"max_days": days}
        )
    ends_at = after(order.processing.ends_at, policy.day, policy, times=wish.days)
    return events.ProcessingExtended(
        days=wish.days, processing_ends_at=ends_at, remind_at=remind_at(time, ends_at, policy)
    )


def correct(order: ShippedOrder, wish: commands.CorrectTracking) -> Output:
    return events.TrackingCorrected(
        carrier=wish.carrier,
        tracking_number=wish.tracking_number,
        parcel_id=_meant(order, wish),
        parcels=len(order.parcels),
    )


def report(order: ShippedOrder, wish: commands.ReportTracking, time: datetime, policy: Policy) -> list[Output]:
    """The report by which all parcels there are were delivered may bring the end of protection nearer, never farther
    (R67)."""
    meant = _meant(order, wish)
    if not order.parcels[meant].shipped_at <= wish.at <= time + CLOCK_GRACE:
        return [Refusal("invalid", "A report is about an instant between shipping and now.")]
    ends_at = order.protection_ends_at
    underway = [parcel_id for parcel_id, parcel in order.parcels.items() if not parcel.delivered]
    if policy.release_after_delivery and wish.status == "delivered" and underway == [meant] and order.protects:
        ends_at = min(ends_at, after(time, policy.release_after_delivery, policy))
    shortens = ends_at < order.protection_ends_at
    reported = events.TrackingReported(
        tracking_status=wish.status,
        at=wish.at,
        shortens_protection=shortens,
        parcel_id=meant,
        parcels=len(order.parcels),
    )
    if not shortens:
        return [reported]
    notice = notice_at(ends_at, policy)
    shortened = events.ProtectionShortened(
        delivered_at=wish.at,
        protection_ends_at=ends_at,
        disputable_until=disputable_until(ends_at, policy),
        reminder_at=notice if notice > time else None,
    )
    return [reported, shortened]


def _meant(order: ShippedOrder, wish: commands.CorrectTracking | commands.ReportTracking) -> str:
    """The only one, where none is named."""
    return wish.parcel_id or next(iter(order.parcels))
