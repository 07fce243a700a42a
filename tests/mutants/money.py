"""Bugs of the services that hold and move money: order and refund."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    # -- order ---------------------------------------------------------------------------------------------------------
    Mutant(
        "the odd cents go to the last lines",
        "services/order/lines.py",
        "share + (number < odd_cents)",
        "share + (number >= len(shares) - odd_cents)",
    ),
    Mutant(
        "what can be claimed for a piece is rounded down",
        "services/order/lines.py",
        "-(-line.amount_minor * quantity // line.quantity)",
        "line.amount_minor * quantity // line.quantity",
    ),
    Mutant(
        "what is refunded of a line counts as released, too",
        "services/order/lines.py",
        "released += line.amount_minor - refund_minor",
        "released += line.amount_minor",
    ),
    Mutant(
        "the money of a released line leaves it while it is disputed",
        "services/order/lines.py",
        "            case Disputed(was=Held()):\n",
        "            case Disputed():\n",
    ),
    Mutant(
        "a dispute may give back more than was claimed",
        "services/order/lines.py",
        "refund_minor = min(refund_minor, claimed_minor)",
        "refund_minor = min(refund_minor, sum(line.amount_minor for line, _ in lines))",
    ),
    Mutant(
        "the release is forgotten when receipt is confirmed",
        "services/order/domain.py",
        'return [confirmed, _release(order, "receipt_confirmed")]',
        "return [confirmed]",
    ),
    Mutant(
        "two releases of an order share a name",
        "services/order/domain.py",
        "settlement_id(order.sale.order_id, order.settlements + 1)",
        "settlement_id(order.sale.order_id, 1)",
    ),
    Mutant(
        "the lines need not add up to the payment",
        "services/order/domain.py",
        "if sum(line.amount_minor for line in wish.lines) != wish.payment.amount_minor:",
        "if sum(line.amount_minor for line in wish.lines) > wish.payment.amount_minor:",
    ),
    Mutant(
        "shipping at the last instant is too late",
        "services/order/domain.py",
        "if time > order.processing_ends_at:",
        "if time >= order.processing_ends_at:",
    ),
    Mutant(
        "the time to ship can be extended once more than allowed",
        "services/order/domain.py",
        "order.extensions >= policy.max_processing_extensions",
        "order.extensions > policy.max_processing_extensions",
    ),
    Mutant(
        "receipt can be confirmed while a line is disputed",
        "services/order/domain.py",
        'commands.ConfirmReceipt() if status(order) != "disputed" and order.protects:',
        "commands.ConfirmReceipt() if order.protects:",
    ),
    Mutant(
        "a completed order is completed by every event again",
        "services/order/domain.py",
        ' or status(order) == "completed":',
        ":",
    ),
    Mutant(
        "protection can be extended to a day less than allowed",
        "services/order/policy.py",
        "times=days) <= latest",
        "times=days) < latest",
    ),
    Mutant(
        "an order is completed while its refund is on the way",
        "services/order/states.py",
        "refunding = order.refunding | {event.settlement_id} if event.refund_minor else order.refunding",
        "refunding = order.refunding",
    ),
    Mutant(
        "a line of a cancelled dispute is held again, whatever it was",
        "services/order/states.py",
        "replace(line, standing=line.standing.was)",
        "replace(line, standing=Held())",
    ),
    Mutant(
        "a released line is paid out again when its dispute is given up",
        "services/order/disputing.py",
        "amount_minor=line.amount_minor if isinstance(standing.was, Held) else 0,",
        "amount_minor=line.amount_minor,",
    ),
    Mutant(
        "payout and chargeback are told the wrong way round",
        "services/order/disputing.py",
        "payout_minor=sum(share.release_minor for share in shares if share.line_id not in released_before),\n"
        "            chargeback_minor=sum(share.refund_minor for share in shares if",
        "chargeback_minor=sum(share.release_minor for share in shares if share.line_id not in released_before),\n"
        "            payout_minor=sum(share.refund_minor for share in shares if",
    ),
    Mutant(
        "a claim at the last instant is too late",
        "services/order/disputing.py",
        "claim.received_at > order.disputable_until:",
        "claim.received_at >= order.disputable_until:",
    ),
    Mutant(
        "what was settled can be disputed again",
        "services/order/disputing.py",
        "        case Settled():\n"
        '            return Refusal("wrong_state", "What was settled cannot be disputed again.")\n',
        "",
    ),
    Mutant(
        "lines are frozen for somebody who is not the buyer",
        "services/order/disputing.py",
        " or claim.actor.id != sale.buyer.id:",
        ":",
    ),
    # -- refund --------------------------------------------------------------------------------------------------------
    Mutant(
        "a payment is tried again under a new key",
        "services/refund/calling.py",
        "    return [submitted, _question(capture, movement) if asking else _payment(capture, movement)]\n",
        "    if asking:\n"
        "        return [submitted, _question(capture, movement)]\n"
        '    key = movement.payment_key if attempt == 1 else f"{movement.payment_key}/{attempt}"\n'
        '    return [submitted, _payment(capture, movement).model_copy(update={"payment_key": key})]\n',
    ),
    Mutant(
        "a payment that was not answered is asked for again instead of being asked about",
        "services/refund/calling.py",
        "next_call(capture, leg, asking=True, time=time)",
        "next_call(capture, leg, asking=False, time=time)",
    ),
    Mutant(
        "an answer about another amount counts",
        "services/refund/calling.py",
        "        case Pending() if as_asked:\n",
        "        case Pending():\n",
    ),
    Mutant(
        "a final no is taken for a passing one",
        "services/refund/calling.py",
        "case Pending(at=Called() | Failed()) if not answer.retryable:",
        "case Pending(at=Called() | Failed()) if leg.attempt > 1 and not answer.retryable:",
    ),
    Mutant(
        "a payment is tried once more than allowed",
        "services/refund/calling.py",
        "        case Pending(at=Called()) if leg.attempt == leg.attempts_max:\n",
        "        case Pending(at=Called()) if leg.attempt > leg.attempts_max:\n",
    ),
    Mutant(
        "the first retry waits as long as the second should",
        "services/refund/calling.py",
        "BACK_OFF_FACTOR ** (attempts_made - 1)",
        "BACK_OFF_FACTOR**attempts_made",
    ),
    Mutant(
        "money that moved a second time is nobody's business",
        "services/refund/calling.py",
        " or answer.provider_reference != leg.provider_reference:",
        ":",
    ),
    Mutant(
        "an operator's retry never begins with a question",
        "services/refund/calling.py",
        "    asking = isinstance(leg.at, InReview) and leg.at.outcome_unknown\n",
        "    asking = False\n",
    ),
    Mutant(
        "the seller is paid again for what was released before",
        "services/refund/subscriptions.py",
        '"payout": event.payout_minor,',
        '"payout": event.release_minor,',
    ),
    Mutant(
        "the chargeback is forgotten",
        "services/refund/subscriptions.py",
        '                "chargeback": event.chargeback_minor,\n',
        "",
    ),
    Mutant(
        "movements that were heard of before the order are forgotten",
        "services/refund/domain.py",
        "*_request(captured, state.movements if state else (), time, policies)",
        "*_request(captured, (), time, policies)",
    ),
    Mutant(
        "a settlement that is told twice is paid out under the same name anew",
        "services/refund/domain.py",
        "new = [movement for movement in movements(message) if movement.payment_key not in state.legs]",
        "new = list(movements(message))",
    ),
    Mutant(
        "an operator may pay by hand while the provider may still answer",
        "services/refund/domain.py",
        "    if isinstance(leg.at, Called):\n"
        '        return [Refusal("wrong_state", "the payment provider was called and may still answer")]\n',
        "",
    ),
    Mutant(
        "what waits in the operator's queue is never overdue",
        "services/refund/domain.py",
        '            yield Deadline("refund_due", key, leg.overdue_at)\n',
        '            if stage(leg) != "manual_review":\n'
        '                yield Deadline("refund_due", key, leg.overdue_at)\n',
    ),
    Mutant(
        "a refund is booked from the buyer to the escrow",
        "services/refund/ledger.py",
        'f"escrow:{event.order_id}", f"buyer:{event.buyer_id}", event.refund_minor',
        'f"buyer:{event.buyer_id}", f"escrow:{event.order_id}", event.refund_minor',
    ),
    Mutant(
        "the sandbox pays another amount under a known key",
        "services/refund/gateway.py",
        "if known not in (None, asked):",
        "if known is not None and known.currency != asked.currency:",
    ),
)
