"""What recorded cases would have come to under a draft of a policy, over HTTP (N12)."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from services.casefile.front.answering import PROBLEMS, answer
from services.casefile.front.api import Word
from services.casefile.front.desk import Desk
from services.casefile.front.signin import SignedIn
from services.casefile.front.turned_away import Wrong
from services.casefile.laboratory.drafts import Draft, draft
from services.casefile.laboratory.laboratory_shapes import NotPlayed, WhatIf
from services.casefile.laboratory.what_if import Compared, Tally, cases
from services.casefile.operating.operators import answered, fresh, operators_alone
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.shapes import AsOf, Shown
from shared.kernel.policies import Policies

AT_ONCE_MAX = 200
"""Cases of one answer: it is waited for."""
SLICE = 20
"""Cases that are worked on before somebody else has his turn."""


class WhatIfAsked(Shown):
    """A draft, and of which orders it is asked."""

    draft: str = Field(description="the YAML of a policy, which need not be published")
    under: str | None = Field(
        default=None, pattern=Word, description="orders that lived under this `name` or `name.version`; null: all"
    )
    after: str | None = Field(default=None, pattern=Word, description="go on behind this order: `next` of an answer")
    limit: Annotated[int, Field(ge=1, le=AT_ONCE_MAX)] = AT_ONCE_MAX


class WhatIfShown(WhatIf):
    """What they would have come to."""

    as_of: AsOf


def policies_router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/policies", responses=PROBLEMS, tags=["policies"])

    @router.post("/what-if", response_model=WhatIfShown)
    async def what_if(asked: SignedIn, wanted: WhatIfAsked) -> Response:
        """Recorded cases, played under a draft with the same acts at the same instants, in the order of their ids."""
        return answer(await tried(desk, asked, wanted))

    return router


async def tried(desk: Desk, asked: Asked, wanted: WhatIfAsked) -> WhatIfShown:
    """Raises TurnedAway; Wrong for a draft that means nothing, with all that is wrong with it."""
    operators_alone(asked, "what a policy would have changed")
    as_of = fresh(await answered(desk.tables.as_of()))
    of = draft(wanted.draft.encode())
    if not isinstance(of, Draft):
        raise Wrong("; ".join(one.sentence for one in of), "draft")
    tally, after, known = Tally(of), wanted.after, desk.policies()
    order_ids = await answered(desk.tables.order_ids(after, wanted.limit))
    for begin in range(0, len(order_ids), SLICE):
        found = [await answered(desk.tables.find(order_id)) for order_id in order_ids[begin : begin + SLICE]]
        there = [one for one in found if one is not None]
        for case in await desk.workers.done(partial(_played, there, of, known, wanted.under)):
            tally.add(case)
    next_ = order_ids[-1] if len(order_ids) == wanted.limit else None
    return WhatIfShown(**dict(tally.told(next_)), as_of=as_of)


def _played(found: Sequence[Found], of: Draft, known: Policies, under: str | None) -> list[Compared | NotPlayed]:
    return [*cases(found, of, known, under)]
