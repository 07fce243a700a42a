"""The pages on which somebody looks: the work list, a case, an order, what became of a command."""

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from starlette.requests import Request

from schemas.visibility import Viewer
from services.casefile.front.desk import Desk
from services.casefile.front.turned_away import Hidden, NotSignedIn, Wrong
from services.casefile.pages.visit import Visit, act_address
from services.casefile.shown.reading import Asked, CaseFilter, OrderFilter
from services.casefile.shown.shapes import CaseShown, CommandShown, EvidenceShown

ROWS = 50
LARGE_MINOR = 20_000
"""From so many minor units on a claim is called large."""
PRESETS: dict[str, tuple[str, ...]] = {
    "mediator": ("mine", "overdue", "appeals", "large"),
    "operator": ("all", "unassigned", "overdue", "appeals", "large"),
    "buyer": ("all", "overdue"),
    "seller": ("all", "overdue"),
}


VIEWERS: tuple[Viewer, ...] = get_args(Viewer)


class Viewing:
    """Every method answers with HTML, or raises TurnedAway."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def cases(self, visit: Visit, request: Request) -> str:
        asked = signed_in(visit)
        preset = request.query_params.get("preset", PRESETS[asked.role][0])
        if preset not in PRESETS[asked.role]:
            raise Wrong("There is no such choice of cases.", "preset")
        now = self.desk.clock()
        wanted = _wanted(preset, asked, now)
        page = await self.desk.cases(asked, wanted, request.query_params.get("cursor"), ROWS)
        return visit.made(
            "cases.html", page=page, preset=preset, presets=PRESETS[asked.role], now=now, as_of=page.as_of
        )

    async def case(self, visit: Visit, request: Request) -> str:
        shown = await self._case(visit, request)
        asked = signed_in(visit)
        return visit.made(
            "case.html",
            shown=shown,
            is_past="at" in request.query_params,
            may_decide=_decides(shown, asked),
            evidence=_by_side(shown.evidence),
            messages=[one for one in shown.timeline if one.type == "dispute.message_sent"],
            as_of=shown.as_of,
        )

    async def comes_to(self, visit: Visit, request: Request) -> str:
        """What another decision would come to: the whole page, or what htmx puts into the case's."""
        shown, asked, words = await self._case(visit, request), signed_in(visit), visit.words
        if not _decides(shown, asked):
            raise Hidden
        row, option = shown.row, shown.options[0]
        outcome, problem, minor, choose = None, None, 0, ""
        goes_back = request.query_params.get("return_required") == "yes"
        try:
            minor = words.minor(request.query_params.get("refund_minor", ""), row.currency)
            data = {**option.data, "refund_minor": minor, "return_required": goes_back}
            outcome = await self.desk.preview(asked, row.order_id, option.type, data, row.dispute_id)
            chosen = option.model_copy(update={"data": data})
            choose = act_address(row.order_id, chosen, row.currency, words, {"dispute_id": row.dispute_id})
        except ValueError:
            problem = words.word("wrong_money", example=words.typed(row.claimed_minor, row.currency))
        except Wrong as wrong:
            problem = wrong.sentence
        part = request.headers.get("hx-request") == "true"
        return visit.made(
            "comes_to_part.html" if part else "comes_to.html",
            outcome=outcome,
            problem=problem,
            refund_minor=minor,
            return_required=goes_back,
            currency=row.currency,
            now=self.desk.clock(),
            choose=choose,
            back=f"/cases/{row.order_id}/{row.dispute_id}",
        )

    async def orders(self, visit: Visit, request: Request) -> str:
        page = await self.desk.orders(signed_in(visit), OrderFilter(), request.query_params.get("cursor"), ROWS)
        return visit.made("orders.html", page=page, as_of=page.as_of)

    async def order(self, visit: Visit, request: Request) -> str:
        at, seen_as = _at(visit, request), _seen_as(request)
        order_id = request.path_params["order_id"]
        shown = await self.desk.order(signed_in(visit), order_id, at, seen_as, visit.words.language)
        return visit.made(
            "order.html",
            shown=shown,
            is_past=at is not None,
            parcels=[one for one in shown.timeline if one.type in ("order.shipped", "order.tracking_corrected")],
            as_of=shown.as_of,
        )

    async def command(self, visit: Visit, request: Request) -> str:
        """Of one that was sent a moment ago nothing may be known yet: it is pending, for whoever may see the order."""
        asked, order_id = signed_in(visit), request.path_params["order_id"]
        command_id = request.path_params["command_id"]
        try:
            shown = await self.desk.command(asked, order_id, command_id, visit.words.language)
        except Hidden:
            order = await self.desk.order(asked, order_id, locale=visit.words.language)
            shown = CommandShown(
                order_id=order_id,
                command_id=command_id,
                status="pending",
                is_final=False,
                answers=[],
                as_of=order.as_of,
            )
        return answered(visit, shown, request.query_params.get("dispute"))

    async def _case(self, visit: Visit, request: Request) -> CaseShown:
        return await self.desk.case(
            signed_in(visit),
            request.path_params["order_id"],
            request.path_params["dispute_id"],
            _at(visit, request),
            _seen_as(request),
            visit.words.language,
        )


def signed_in(visit: Visit) -> Asked:
    """Raises NotSignedIn."""
    if visit.asked is None:
        raise NotSignedIn("Nobody is signed in.")
    return visit.asked


def answered(visit: Visit, shown: CommandShown, dispute_id: str | None) -> str:
    """What became of a command."""
    back = f"/cases/{shown.order_id}/{dispute_id}" if dispute_id else f"/orders/{shown.order_id}"
    return visit.made("answer.html", shown=shown, dispute_id=dispute_id, back=back, as_of=shown.as_of)


def _wanted(preset: str, asked: Asked, now: datetime) -> CaseFilter:
    match preset:
        case "mine":
            return CaseFilter(mediator=asked.id)
        case "unassigned":
            return CaseFilter(mediator="-")
        case "overdue":
            return CaseFilter(due_before=now)
        case "appeals":
            return CaseFilter(is_appeal=True)
        case "large":
            return CaseFilter(claimed_from_minor=LARGE_MINOR)
        case _:
            return CaseFilter()


def _at(visit: Visit, request: Request) -> datetime | None:
    typed = request.query_params.get("at")
    try:
        return None if typed is None else visit.words.instant(typed)
    except ValueError:
        raise Wrong(visit.words.word("wrong_instant"), "at") from None


def _seen_as(request: Request) -> Viewer | None:
    role = request.query_params.get("as")
    for known in VIEWERS:
        if role == known:
            return known
    if role is not None:
        raise Wrong("Nobody looks as that.", "as")
    return None


def _decides(shown: CaseShown, asked: Asked) -> bool:
    """He himself, and now."""
    return bool(shown.options) and any(
        (player.role, player.id) == (asked.role, asked.id)
        and any(act.type == shown.options[0].type and act.possible for act in player.available_actions)
        for player in shown.players
    )


def _by_side(files: Sequence[EvidenceShown]) -> list[tuple[tuple[str, str], list[EvidenceShown]]]:
    found: dict[tuple[str, str], list[EvidenceShown]] = {}
    for one in files:
        found.setdefault((one.by, one.stage), []).append(one)
    return sorted(found.items())
