"""Bugs of the services that hold and move money: order and refund."""

from deploy.verify.checks import liveness, order_balance
from deploy.verify.checks import money as money_check
from services import order, refund
from services.order import disputing, lines, pieces
from services.order import domain as order_domain
from services.refund import calling, ledger, resolving, reviewing, states
from tests.mutants.changes import change, drop, flip
from tests.mutants.mutant import Mutant

VERIFIER = ("tests/kit/test_verify.py",)

MUTANTS = (
    # -- who proves it -------------------------------------------------------------------------------------------------
    Mutant(
        "an alarm that is pending is believed to ring",
        lambda: liveness.check,
        drop("yield from _rings_in_time(__)"),
        VERIFIER,
    ),
    Mutant(
        "a payment may be behind two orders",
        lambda: money_check.check_payment,
        change("list(__a.values())[1:]", "list(__a.values())[:0]"),
        VERIFIER,
    ),
    Mutant(
        "a dispute may pass by free pieces of its line",
        lambda: order_balance,
        change("__a and __.first < __b", "False"),
        ("tests/kit/test_verify_pieces.py",),
    ),
    # -- order ---------------------------------------------------------------------------------------------------------
    Mutant(
        "the first pieces of a line are worth their share rounded up",
        lambda: lines.Line,
        change("__a * __b // __c", "-(-__a * __b // __c)"),
    ),
    Mutant(
        "of a line that is cut the lowest pieces bear what was given back",
        lambda: pieces.cut,
        change("min(__.given_back_minor, __)", "0"),
    ),
    Mutant("what was settled alike is one again", lambda: pieces, drop("isinstance(__, Held | Released)")),
    Mutant("pieces come back from every dispute at once", lambda: pieces, drop("__.standing.dispute_id == dispute_id")),
    Mutant(
        "pieces that are not free are claimed before those that are",
        lambda: disputing,
        change("lowest(sorted(__a, key=__), __b)", "lowest(__a, __b)"),
    ),
    Mutant(
        "the odd cents go to the last lines",
        lambda: order,
        change(
            "[__n for __n, __c in enumerate(__l) if __c][:__o]",
            "[__n for __n, __c in enumerate(__l) if __c][::-1][:__o]",
        ),
    ),
    Mutant(
        "what can be claimed for a piece is rounded down",
        lambda: order,
        change("-(-__a * __b // __c)", "__a * __b // __c"),
    ),
    Mutant(
        "what is refunded of a line counts as released, too",
        lambda: lines.money_of,
        change("__a += __b - __", "__a += __b"),
    ),
    Mutant(
        "the money of a released line leaves it while it is disputed",
        lambda: order,
        change("case Disputed(was=Held()): ...", "case Disputed(): ..."),
    ),
    Mutant(
        "a dispute may give back more than was claimed",
        lambda: lines.split,
        change("min(__a, __)", "min(__a, sum(line.amount_minor for line, _ in lines))"),
    ),
    Mutant("the release is forgotten when receipt is confirmed", lambda: order, drop("__(__, 'receipt_confirmed')")),
    Mutant(
        "two releases of an order share a name",
        lambda: order_domain._release,
        change("settlement_id(__a, __ + 1)", "settlement_id(__a, 1)"),
    ),
    Mutant(
        "the lines need not add up to the payment",
        lambda: order,
        change("__a != __b.payment.amount_minor", "__a > __b.payment.amount_minor"),
    ),
    Mutant("shipping at the last instant is too late", lambda: order, flip("__ > ended_at")),
    Mutant("the time to ship can be extended once more than allowed", lambda: order, flip("__.extensions >= __")),
    Mutant("receipt can be confirmed while a line is disputed", lambda: order, drop("status(__) != 'disputed'")),
    Mutant("a completed order is completed by every event again", lambda: order, drop("status(__) == 'completed'")),
    Mutant("protection can be extended to a day less than allowed", lambda: order, flip("after(...) <= __")),
    Mutant(
        "an order is completed while its refund is on the way",
        lambda: order,
        change("__.refunding | {__} if __ else __a", "__a"),
    ),
    Mutant(
        "a line of a cancelled dispute is held again, whatever it was",
        lambda: order,
        change("__f(__a, standing=__.standing.was)", "__f(__a, standing=Held())"),
    ),
    Mutant(
        "a released line is paid out again when its dispute is given up",
        lambda: order,
        change("__a.left_minor if isinstance(__, Held) else 0", "__a.left_minor"),
    ),
    Mutant(
        "payout and chargeback are told the wrong way round",
        lambda: order,
        change("__f(..., payout_minor=__a, chargeback_minor=__b)", "__f(..., payout_minor=__b, chargeback_minor=__a)"),
    ),
    Mutant("a claim at the last instant is too late", lambda: order, flip("__.received_at > __.disputable_until")),
    Mutant("what was settled can be disputed again", lambda: disputing.hindrance, drop("case Final(): ...")),
    Mutant("lines are frozen for somebody who is not the buyer", lambda: disputing, drop("__.actor.id == __.buyer.id")),
    # -- refund --------------------------------------------------------------------------------------------------------
    Mutant(
        "a payment is tried again under a new key",
        lambda: refund,
        change(
            "__q if asking else _payment(__a, __m)",
            "__q if asking else _payment(__a, __m).model_copy(update={'payment_key':"
            " __m.payment_key if attempt == 1 else f'{__m.payment_key}/{attempt}'})",
        ),
    ),
    Mutant(
        "a payment that was not answered is asked for again instead of being asked about",
        lambda: refund,
        change("__f(..., asking=True)", "__f(..., asking=False)"),
    ),
    Mutant(
        "an answer about another amount counts",
        lambda: calling.settled,
        change("case Pending() if as_asked: ...", "case Pending(): ..."),
    ),
    Mutant(
        "a final no is taken for a passing one",
        lambda: calling.failed,
        change(
            "case Pending(at=Called() | Failed()) if not __a.retryable: ...",
            "case Pending(at=Called() | Failed()) if leg.attempt > 1 and not __a.retryable: ...",
        ),
    ),
    Mutant(
        "a payment is tried once more than allowed",
        lambda: calling.failed,
        change(
            "case Pending(at=Called()) if __a.attempt == __b.attempts_max: ...",
            "case Pending(at=Called()) if __a.attempt > __b.attempts_max: ...",
        ),
    ),
    Mutant(
        "the first retry waits as long as the second should",
        lambda: refund,
        change("__a ** (__b - 1)", "__a ** __b"),
    ),
    Mutant(
        "money that moved a second time is nobody's business",
        lambda: refund,
        change("return [] if __ else [review(__a, 'settled_again', __b)]", "return []"),
    ),
    Mutant(
        "an operator's retry never begins with a question",
        lambda: refund,
        change("__a = isinstance(__, InReview) and __.outcome_unknown", "__a = False"),
    ),
    Mutant(
        "the seller is paid again for what was released before",
        lambda: refund,
        change("'payout': __a.payout_minor", "'payout': __a.release_minor"),
    ),
    Mutant("the chargeback is forgotten", lambda: refund, drop("'chargeback': __")),
    Mutant(
        "movements that were heard of before the order are forgotten",
        lambda: refund,
        change("__a.movements if __a else ()", "()"),
    ),
    Mutant(
        "a settlement that is told twice is paid out under the same name anew",
        lambda: refund,
        change("[__a for __a in __b if __ not in __.legs]", "list(__b)"),
    ),
    Mutant(
        "an operator may pay by hand while the provider may still answer",
        lambda: refund,
        change("__a and not __.although_unknown", "False"),
    ),
    Mutant(
        "of what moved in part all of it is owed again",
        lambda: states.rest_of,
        change("__a(__b.owed, __b.owed.amount_minor - __c)", "__a(__b.owed, __b.owed.amount_minor)"),
    ),
    Mutant(
        "the rest of what moved in part is sent under the key that has moved",
        lambda: states.rest_of,
        change("__a(__b.owed, __c)", "__b.owed.model_copy(update={'amount_minor': __c})"),
    ),
    Mutant(
        "the rest of what moved in part is sent while the money is on hold",
        lambda: resolving,
        change("[] if __.on_hold else __a", "__a"),
    ),
    Mutant(
        "an operator may book more than the payment service has said",
        lambda: resolving._said,
        change("sorted(__a.name for __a in __ if __a[:4] == __w)", "['by hand']"),
    ),
    Mutant(
        "what moved too much is taken from the escrow",
        lambda: ledger,
        change("f'escrow:{__a}' if isinstance(__b, MovedInPart | RefundReversed) else __c", "f'escrow:{__a}'"),
    ),
    Mutant(
        "what comes back is owed anew, whatever had moved too much",
        lambda: reviewing,
        change("min(__.excess_minor, __a)", "0"),
    ),
    Mutant(
        "what comes back of an earlier movement may be more than has moved",
        lambda: reviewing,
        change("__a and __b.amount_minor <= __.standing.get(__, 0)", "__a"),
    ),
    Mutant(
        "an operator looks for ever after what moved too much, though it is back",
        lambda: states,
        change("not __a and __b is not None and __b.reason == 'moved_too_much'", "False"),
    ),
    Mutant(
        "a failure after all leaves what moved too much where it was",
        lambda: states,
        change("__a.movement.amount_minor + __a.excess_minor", "__a.movement.amount_minor"),
    ),
    Mutant(
        "the rest of what moved in part may be anything",
        lambda: money_check,
        change("__a is None or __b + __c != __a.minor", "__a is None"),
        ("tests/kit/test_verify_another_amount.py",),
    ),
    Mutant(
        "what moved too much is believed without the payment service",
        lambda: money_check,
        change("__a in __b and __b[__a].minor + __c not in __d", "False"),
        ("tests/kit/test_verify_another_amount.py",),
    ),
    Mutant(
        "what waits in the operator's queue is never overdue",
        lambda: refund,
        change(
            "yield Deadline('refund_due', __a, __l.overdue_at)",
            "if stage(__l) != 'manual_review': yield Deadline('refund_due', __a, __l.overdue_at)",
        ),
    ),
    Mutant(
        "a refund is booked from the buyer to the escrow",
        lambda: refund,
        change("Entry(__a, f'escrow:{__e}', f'buyer:{__b}', __c)", "Entry(__a, f'buyer:{__b}', f'escrow:{__e}', __c)"),
    ),
    Mutant(
        "the sandbox pays another amount under a known key",
        lambda: refund,
        change("__a not in (None, __b)", "__a is not None and __a.currency != __b.currency"),
    ),
)
