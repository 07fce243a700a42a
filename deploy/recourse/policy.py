"""`recourse policy what-if FILE`: what recorded cases would have come to under a draft of a policy."""

import argparse
from pathlib import Path
from typing import Any

from deploy.recourse.asking import Client
from deploy.recourse.telling import as_json, line, money, table
from services.casefile.laboratory.laboratory_shapes import WhatIf
from services.casefile.laboratory.policies_api import WhatIfShown
from services.casefile.laboratory.what_if import together

MONEY = ("buyer", "seller", "commission")


def add(groups: Any) -> None:
    acts = groups.add_parser("policy", help="drafts of policies").add_subparsers(required=True, metavar="act")
    trying = acts.add_parser("what-if", help="recorded cases, played under a draft")
    trying.add_argument("file", type=Path, help="a policy as YAML; it need not be published")
    trying.add_argument("--under", help="orders that lived under this name, or name.version")
    trying.add_argument("--cases", type=int, default=1_000, metavar="N", help="at most so many orders are looked at")
    trying.set_defaults(run=what_if)


def what_if(client: Client, asked: argparse.Namespace) -> None:
    """In parts, which are put together."""
    try:
        draft = asked.file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{asked.file} cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}.") from None
    known: WhatIf | None = None
    while known is None or (known.next is not None and known.looked_at < asked.cases):
        left = asked.cases - (known.looked_at if known else 0)
        said = {"draft": draft, "under": asked.under, "after": known and known.next, "limit": min(left, 200)}
        shown = WhatIfShown.model_validate(client.post("policies", "what-if", said=said), strict=False)
        more = WhatIf.model_validate(shown.model_dump(exclude={"as_of"}))
        known = more if known is None else together(known, more)
    if asked.json:
        as_json(known.model_dump(mode="json"))
    else:
        _tell(known)


def _tell(known: WhatIf) -> None:
    line(
        f"{known.draft}: {known.looked_at} orders looked at, {known.reproduced} reproduced, {known.differing} would "
        f"differ{'; there are more (--cases)' if known.next else ''}"
    )
    kinds = ((kind.replace("_", " "), count) for kind, count in sorted(known.differs_in.items()))
    table(("differs in", "cases"), kinds, "What differs", "nothing")
    sums = (
        (who, *(money(getattr(one, f"{who}{what}_minor"), one.currency) for what in ("", "_would_be")))
        for one in known.money
        for who in MONEY
    )  # fmt: skip
    table(("of all cases that ended", "was", "would be"), sums, "Money", "no case has ended")
    acts = ((one.type, one.code, one.acts) for one in known.impossible)
    table(("act", "would be refused", "acts"), acts, "Would not have been possible", "nothing")
    cases = (
        (one.order_id, ", ".join(kind.replace("_", " ") for kind in one.differs_in), _split(one.was, one.currency),
         _split(one.would_be, one.currency))
        for one in known.cases
    )  # fmt: skip
    table(("order", "differs in", "was: buyer / seller", "would be"), cases, "Cases", "none differs")
    unplayed = ((one.order_id, one.why) for one in known.not_played)
    table(("order", "why"), unplayed, "Not played again, and left out of all sums", "none")


def _split(end: Any, currency: str) -> str:
    return f"{money(end.buyer_minor, currency)} / {money(end.seller_minor, currency)}"
