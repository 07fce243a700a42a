"""Bugs of an order in several parcels, and of who proves it."""

from deploy.verify.checks import liveness, order_balance
from services.order import disputing, giving_back, pieces, shipping, states
from tests.mutants.changes import change, drop
from tests.mutants.mutant import Mutant

NEAREST = tuple(f"tests/domain/test_parcels{part}.py" for part in ("", "_disputed", "_unshipped"))
VERIFIER = ("tests/kit/test_verify_parcels.py",)

MUTANTS = (
    Mutant(
        "a later parcel takes back what the seller granted",
        lambda: shipping.ship,
        change("max(ends_at, __.protection_ends_at)", "ends_at"),
        NEAREST,
    ),
    Mutant(
        "a later parcel takes the last moment to dispute back",
        lambda: shipping.ship,
        change("max(last_to_dispute, __.disputable_until)", "last_to_dispute"),
        NEAREST,
    ),
    Mutant(
        "two parcels of an order have the same name",
        lambda: shipping.misnamed,
        change("__ if command.parcel_id in parcels else None", "None"),
        NEAREST,
    ),
    Mutant(
        "the first of two parcels that comes ends protection soon",
        lambda: shipping.report,
        change("underway == [meant]", "meant in underway"),
        NEAREST,
    ),
    Mutant(
        "a report about an early parcel is held against the last one's shipping",
        lambda: shipping.report,
        change("order.parcels[meant].shipped_at", "order.last_shipped_at"),
        NEAREST,
    ),
    Mutant(
        "the longest protection counts from the first parcel",
        lambda: states.ShippedOrder.last_shipped_at,
        change("max(...)", "next(iter(self.parcels.values())).shipped_at"),
        NEAREST,
    ),
    Mutant(
        "what is in no parcel is disputed",
        lambda: disputing.hindrance,
        drop("case Unshipped(): ..."),
        NEAREST,
    ),
    Mutant(
        "what was shipped is cancelled with what was not",
        lambda: giving_back.not_shipped,
        change("unshipped(order)", "order.lines"),
        NEAREST,
    ),
    Mutant(
        "what is in no parcel waits for nothing",
        lambda: states.status,
        drop("case ShippedOrder() if unshipped(order): ..."),
        NEAREST,
    ),
    Mutant(
        "parcels stay apart where they stand alike",
        lambda: pieces.shipped,
        change("joined(__a)", "tuple(__a)"),
        NEAREST,
    ),
    Mutant(
        "what was never shipped may be released",
        lambda: order_balance.OrderBalance._releases,
        change("not all(part.shipped for part in __)", "False"),
        VERIFIER,
    ),
    Mutant(
        "a parcel may pass by pieces of its line",
        lambda: order_balance.OrderBalance._ships,
        change("__.first < __b", "False"),
        VERIFIER,
    ),
    Mutant(
        "what is in no parcel needs no alarm",
        lambda: liveness.waiting,
        change('{"held": __a, "to be shipped": __b}', '{"held": __a}'),
        VERIFIER,
    ),
)
