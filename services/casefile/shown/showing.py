"""Everything that is shown of one order, from its records alone. Pure: the same records show the same.

What is shown passes the visibility of whom it is shown. Where the order lives under rules that are not known here,
PolicyMissing is raised, as the services wait.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.casefile.shown.ahead import asked_for, end, nobody_acts, options, outcome
from services.casefile.shown.answered import show_command as show_command
from services.casefile.shown.booked import ledger, legs
from services.casefile.shown.looking import Look
from services.casefile.shown.papers import evidence, letters, offers, timeline
from services.casefile.shown.players import players
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.rows import seen_by
from services.casefile.shown.shapes import CaseShown, OrderHead, OrderShown, OutcomeShown
from services.casefile.shown.words import Locale as Locale
from shared.kernel.policies import Policies


def show_case(
    found: Found,
    dispute_id: str,
    policies: Policies,
    asked: Asked,
    now: datetime,
    at: datetime | None = None,
    locale: Locale = "en",
) -> CaseShown | None:
    """`at`: as it was then (N8). None: there is no such dispute, or nothing of it is for him."""
    look = Look(found, policies, asked, now, at, locale)
    if not look.may_look or dispute_id not in look.cases or not look.may_look_into(dispute_id):
        return None
    files = evidence(look.seen, dispute_id)
    shown = Counter(one.by for one in files)
    return CaseShown(
        row=seen_by(look.row(dispute_id), asked.role),
        order=_head(look),
        viewer=asked.role,
        at=look.at,
        players=players(look, dispute_id),
        nobody_acts=nobody_acts(look),
        ends=end(look),
        options=options(look, dispute_id),
        offers=offers(look.seen, dispute_id),
        timeline=timeline(look, dispute_id),
        evidence=files,
        evidence_complete={side: shown[side] > 0 for side in ("buyer", "seller")},
        ledger=ledger(look.seen, look.outlook.private),
        letters=letters(look),
        as_of=found.as_of,
    )


def show_order(
    found: Found, policies: Policies, asked: Asked, now: datetime, at: datetime | None = None, locale: Locale = "en"
) -> OrderShown | None:
    """`at`: as it was then (N8). None: there is no such order, or nothing of it is for him."""
    look = Look(found, policies, asked, now, at, locale)
    if not look.may_look:
        return None
    return OrderShown(
        order=_head(look),
        viewer=asked.role,
        at=look.at,
        disputes=[seen_by(row, asked.role) for row in look.cases.values() if look.may_look_into(row.dispute_id)],
        players=players(look),
        nobody_acts=nobody_acts(look),
        ends=end(look),
        timeline=timeline(look),
        legs=legs(look.seen),
        ledger=ledger(look.seen, look.outlook.private),
        letters=letters(look),
        as_of=found.as_of,
    )


def preview(
    found: Found,
    policies: Policies,
    asked: Asked,
    type_: str,
    data: Mapping[str, Any],
    now: datetime,
    locale: Locale = "en",
) -> OutcomeShown:
    """What it would come to if he said it now. A refusal is an outcome, too. `type_`: with its version or without;
    `data`: without order_id and actor, who is he himself. Raises ValueError, in a sentence, for what cannot be said at
    all."""
    look = Look(found, policies, asked, now, None, locale)
    if not look.may_look:
        raise ValueError("There is no such order.")
    return outcome(look, asked_for(look, type_, data))


def _head(look: Look) -> OrderHead:
    assert look.placed is not None
    placed, row = look.placed.event, look.order
    ends_at = [end for one in look.told if (end := getattr(one.event, "protection_ends_at", None)) is not None]
    return OrderHead(
        order_id=row.order_id,
        buyer=row.buyer,
        seller=row.seller,
        status=row.status,
        currency=row.currency,
        total_minor=row.total_minor,
        lines=list(placed.lines),
        policy=placed.policy,
        placed_at=row.placed_at,
        commission_bps=placed.commission_bps,
        on_hold=row.on_hold,
        protection_ends_at=ends_at[-1] if ends_at else None,
        deadlines=row.deadlines,
    )
