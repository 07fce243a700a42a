"""`recourse order list`, `recourse order show ID`: what an order is, and what becomes of it."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, get_args

from deploy.recourse.asking import Client
from deploy.recourse.telling import Row, as_json, at, line, money, table
from schemas.visibility import Viewer

LIST_ROWS = 50
Columns = Mapping[str, Callable[[Any], Any]]
COLUMNS: Columns = {
    "order": itemgetter("order_id"),
    "status": itemgetter("status"),
    "buyer": itemgetter("buyer"),
    "seller": itemgetter("seller"),
    "total": lambda row: money(row["total_minor"], row["currency"]),
    "placed": lambda row: at(row["placed_at"]),
    "next": lambda row: _clock(row["deadlines"]),
}
WORDS = ("description", "message", "question", "text", "explanation", "rationale")
"""What people write."""


def add(groups: Any) -> None:
    acts = groups.add_parser("order", help="orders").add_subparsers(required=True, metavar="act")
    listing = acts.add_parser("list", help="the newest first")
    for name in ("buyer", "seller", "status"):
        listing.add_argument(f"--{name}")
    of_a_list(listing)
    listing.set_defaults(run=show_list)
    showing = acts.add_parser("show", help="its history, its money, and who may do what until when")
    showing.add_argument("order")
    seen_as(showing)
    showing.add_argument("--at", metavar="INSTANT", help="as it was then: 2026-01-31T12:00:00Z")
    showing.set_defaults(run=show)


def seen_as(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="as_", choices=get_args(Viewer), help="an operator: through whose eyes")


def of_a_list(parser: argparse.ArgumentParser) -> None:
    seen_as(parser)
    parser.add_argument("--who", metavar="ID", help="with --as: whose list")
    parser.add_argument("--limit", type=int, default=LIST_ROWS, help="rows at most")


def tell_list(client: Client, asked: argparse.Namespace, of: str, columns: Columns, **by: Any) -> None:
    """`columns`: name -> how a row is told there; `by`: what the list is asked by besides what `of_a_list` says."""
    rows = client.rows(of, at_most=asked.limit, as_=asked.as_, who=asked.who, **by)
    if asked.json:
        as_json(rows)
    else:
        table([*columns], ([told(row) for told in columns.values()] for row in rows), empty=f"no {of}")


def show_list(client: Client, asked: argparse.Namespace) -> None:
    tell_list(client, asked, "orders", COLUMNS, buyer=asked.buyer, seller=asked.seller, status=asked.status)


def show(client: Client, asked: argparse.Namespace) -> None:
    told = client.get("orders", asked.order, as_=asked.as_, at=asked.at)
    if asked.json:
        as_json(told)
        return
    head(told)
    disputes = (
        (one["dispute_id"], one["status"], ", ".join(one["waiting_for"]), at(one["due_at"]), one["due_what"])
        for one in told["disputes"]
    )
    table(("dispute", "status", "waits for", "until", "for"), disputes, "Disputes", "none")
    body(told)
    currency = told["order"]["currency"]
    legs = (
        (one["settlement_id"], one["leg"], one["stage"], money(one["amount_minor"], currency), at(one["due_by"]),
         one["provider_reference"])
        for one in told["legs"]
    )  # fmt: skip
    table(("settlement", "leg", "stage", "amount", "due", "reference"), legs, "Movements of money", "none")


def head(told: Any) -> None:
    order = told["order"]
    line(f"Order {order['order_id']}, seen as {told['viewer']} at {at(told['at'])}: {order['status']}")
    line(f"  {money(order['total_minor'], order['currency'])} of {order['buyer']} for {order['seller']}")
    line(f"  under {order['policy']['name']} {order['policy']['version']}{', on hold' if order['on_hold'] else ''}\n")


def body(told: Any) -> None:
    """What cases and orders have in common."""
    currency = told["order"]["currency"]
    history = ((at(one["at"]), one["actor"] or one["who"], one["text"], _words(one)) for one in told["timeline"])
    table(("at", "who", "what", "in his words"), history, "What happened")
    ahead(told, currency)
    for player in told["players"]:
        may = ((act["type"], _fixed(act), at(act["from"]) or "now", at(act["until"]) or "without an end",
                "his turn" if act["mandatory"] else "") for act in player["available_actions"])  # fmt: skip
        table(("act", "about", "from", "until", ""), may, f"What {player['role']} {player['id']} may do")


def ahead(told: Any, currency: str) -> None:
    """What follows if nobody acts, and where the money ends."""
    coming = ((at(one["at"]), one["text"], *_moved(one, currency)) for one in told["nobody_acts"])
    table(("at", "what", "to the buyer", "to the seller"), coming, "If nobody acts", "nothing more happens")
    end = told["ends"]
    sides = {name: money(end[f"{name}_minor"], currency) for name in ("buyer", "seller", "commission", "held")}
    by = f", by {at(end['at'])}" if end["at"] else ""
    line(f"In the end: {', '.join(f'{name} {amount}' for name, amount in sides.items())}{by}\n")


def _words(one: Any) -> str:
    """Of a refusal the service's words are told already."""
    data = {} if one["type"].endswith((".rejected", ".open_refused")) else one["data"]
    return " / ".join(str(data[name]) for name in WORDS if data.get(name))


def _moved(one: Any, currency: str) -> Row:
    return [money(one[side], currency) if one[side] else "" for side in ("buyer_minor", "seller_minor")]


def _fixed(act: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in act["fixed"].items())


def _clock(deadlines: Iterable[Any]) -> str:
    """The next one."""
    return next((f"{one['name']} {at(one['at'])}" for one in deadlines), "")
