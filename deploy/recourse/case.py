"""`recourse case list | show | preview | decide`: the work list, and a dispute before and after somebody acts."""

import argparse
import sys
from operator import itemgetter
from typing import Any

from deploy.recourse.asking import Client
from deploy.recourse.command import data_of, handed_over, tell_answer
from deploy.recourse.order import Columns, ahead, body, head, of_a_list, seen_as, tell_list
from deploy.recourse.telling import as_json, at, line, money, table

COLUMNS: Columns = {
    "due": lambda row: at(row["due_at"]),
    "for": itemgetter("due_what"),
    "order": itemgetter("order_id"),
    "dispute": itemgetter("dispute_id"),
    "status": itemgetter("status"),
    "waits for": lambda row: ", ".join(row["waiting_for"]),
    "mediator": lambda row: row["mediator"] or "-",
    "round": itemgetter("round"),
    "reason": itemgetter("reason"),
    "claimed": lambda row: money(row["claimed_minor"], row["currency"]),
}


def add(groups: Any) -> None:
    acts = groups.add_parser("case", help="disputes").add_subparsers(required=True, metavar="act")
    listing = acts.add_parser("list", help="the work list: what is due next comes first")
    for name in ("mediator", "status", "waiting-for", "due-before"):
        listing.add_argument(f"--{name}")
    listing.add_argument("--closed", action="store_true", help="those that are closed, too")
    of_a_list(listing)
    listing.set_defaults(run=show_list)

    showing = acts.add_parser("show", help="where it stands, who may do what, and what each decision comes to")
    _named(showing)
    showing.add_argument("--at", metavar="INSTANT", help="as it was then: 2026-01-31T12:00:00Z")
    showing.set_defaults(run=show)

    previewing = acts.add_parser("preview", help="what a command would come to; nothing is sent")
    _named(previewing)
    previewing.add_argument("type", help="mediation.decide")
    previewing.add_argument("data", nargs="?", default="{}", help="as JSON, or a file of it; - reads it")
    previewing.set_defaults(run=preview)

    deciding = acts.add_parser("decide", help="a mediator decides: what it comes to is shown first")
    _named(deciding)
    deciding.add_argument("--refund", type=int, required=True, metavar="MINOR", help="minor units to the buyer")
    deciding.add_argument("--return", dest="return_", action="store_true", help="he sends the goods back")
    deciding.add_argument("--rationale", required=True)
    deciding.add_argument("--rule", action="append", required=True, help="it rests on; may be said again")
    deciding.add_argument("--evidence", action="append", default=[], metavar="ID", help="it rests on; likewise")
    deciding.add_argument("--yes", action="store_true", help="without asking")
    deciding.set_defaults(run=decide, role="mediator")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("order")
    parser.add_argument("dispute")
    seen_as(parser)


def show_list(client: Client, asked: argparse.Namespace) -> None:
    tell_list(
        client,
        asked,
        "cases",
        COLUMNS,
        mediator=asked.mediator,
        status=asked.status,
        waiting_for=asked.waiting_for,
        due_before=asked.due_before,
        open_only="false" if asked.closed else None,
    )


def show(client: Client, asked: argparse.Namespace) -> None:
    told = client.get("cases", asked.order, asked.dispute, as_=asked.as_, at=asked.at)
    if asked.json:
        as_json(told)
        return
    row, currency = told["row"], told["order"]["currency"]
    head(told)
    line(f"Dispute {row['dispute_id']}: {row['status']}, {money(row['claimed_minor'], currency)} for {row['reason']}\n")
    body(told)
    options = ((one["name"], one["type"], *_ends(one["outcome"], currency)) for one in told["options"])
    table(
        ("decision", "command", "buyer", "seller"), options, "What each decision comes to", "nothing is to be decided"
    )


def _ends(outcome: Any, currency: str) -> list[str]:
    return [money(outcome["ends"][f"{side}_minor"], currency) for side in ("buyer", "seller")]


def preview(client: Client, asked: argparse.Namespace) -> None:
    wish = {"type": asked.type, "data": data_of(asked.data)}
    told = client.post("cases", asked.order, asked.dispute, "preview", said=wish, as_=asked.as_)
    if asked.json:
        as_json(told)
    else:
        tell_outcome(told, _currency(client, asked))


def decide(client: Client, asked: argparse.Namespace) -> None:
    data = {
        "dispute_id": asked.dispute,
        "refund_minor": asked.refund,
        "return_required": asked.return_,
        "rationale": asked.rationale,
        "rules": asked.rule,
        "evidence_ids": asked.evidence,
    }
    wish = {"type": "mediation.decide", "data": data}
    told = client.post("cases", asked.order, asked.dispute, "preview", said=wish)
    if not asked.json:
        tell_outcome(told, _currency(client, asked))
    if told["refused"] is not None:
        raise SystemExit(f"It would be refused: {told['refused']['message']}")
    if not asked.yes and not _agreed():
        raise SystemExit("Nothing was sent.")
    tell_answer(handed_over(client, asked.order, "mediation.decide", data), asked.json)


def tell_outcome(told: Any, currency: str) -> None:
    if told["refused"] is not None:
        line(f"It would be refused: {told['refused']['message']}")
        return
    line(f"It would be answered by {told['answer']}.\n")
    at_once = ((at(one["at"]), one["text"]) for one in told["at_once"])
    table(("at", "what"), at_once, "At once")
    ahead(told, currency)


def _currency(client: Client, asked: argparse.Namespace) -> str:
    currency: str = client.get("orders", asked.order)["order"]["currency"]
    return currency


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise SystemExit("Nobody is there to agree: say --yes.")
    return input("Decide so? [y/N] ").strip().lower() in ("y", "yes")
