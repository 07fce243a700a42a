"""`recourse ledger statement | entries | balances | match`: the books of all orders."""

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from deploy.recourse.asking import Client
from deploy.recourse.telling import as_json, at, line, money, table
from services.casefile.books.ledger_csv import as_csv
from services.casefile.books.ledger_reading import EntryShown


def add(groups: Any) -> None:
    acts = groups.add_parser("ledger", help="the books of all orders").add_subparsers(required=True, metavar="act")
    day = acts.add_parser("statement", help="a day: opening + booked = closing; and what is open")
    day.add_argument("--day", required=True, help="UTC: 2026-01-31")
    day.set_defaults(run=statement)

    listing = acts.add_parser("entries", help="what was booked, as CSV")
    for name, told in (("from", "booked then or later: 2026-01-31T00:00:00.000Z"), ("to", "booked before")):
        listing.add_argument(f"--{name}", dest=f"{name}_", metavar="INSTANT", help=told)
    listing.add_argument("--account", help="one, or all of a class: buyers, sellers, escrow, platform:commission …")
    listing.add_argument("--order")
    listing.add_argument("--reference", help="the provider's, a payment key, or the buyer's payment")
    listing.set_defaults(run=entries)

    holding = acts.add_parser("balances", help="what each class of accounts holds")
    holding.add_argument("--at", metavar="INSTANT", help="as it was then")
    holding.set_defaults(run=balances)

    comparing = acts.add_parser("match", help="a bank's file beside the books; ends with 1 where they differ")
    comparing.add_argument("file", type=Path, help="CSV with a header: reference, amount, date, perhaps currency")
    for name in ("from", "to"):
        comparing.add_argument(f"--{name}", dest=f"{name}_", metavar="DAY", help="else the days of the file")
    comparing.add_argument("--currency", help="of lines that name none")
    comparing.set_defaults(run=match)


def statement(client: Client, asked: argparse.Namespace) -> None:
    shown = client.get("ledger", "statement", day=asked.day)
    if asked.json:
        as_json(shown)
        return
    sums = ("opening_minor", "came_minor", "left_minor", "closing_minor")
    lines = (
        (one["account_class"], *(money(one[name], one["currency"]) for name in sums), one["entries"])
        for one in shown["lines"]
    )
    columns = ("accounts", "opening", "came", "left", "closing", "entries")
    table(
        columns, lines, f"{shown['day']}, UTC{'' if shown['is_over'] else ', not over yet'}", "nothing was ever booked"
    )
    items = (
        (one["leg"], one["stage"], one["age"].replace("_", " "), one["count"],
         money(one["amount_minor"], one["currency"]))
        for one in shown["open_items"]
    )  # fmt: skip
    table(("leg", "stage", "age", "count", "amount"), items, "Open now", "nothing")


def entries(client: Client, asked: argparse.Namespace) -> None:
    """All of them; as CSV page by page, under one header."""
    pages = client.pages(
        "ledger",
        "entries",
        from_=asked.from_,
        to_=asked.to_,
        account=asked.account,
        order_id=asked.order,
        reference=asked.reference,
    )
    if asked.json:
        as_json([*chain.from_iterable(pages)])
        return
    for number, page in enumerate(pages):
        shown = as_csv(EntryShown.model_validate(one, strict=False) for one in page)
        sys.stdout.write(shown.partition("\r\n")[2] if number else shown)


def balances(client: Client, asked: argparse.Namespace) -> None:
    shown = client.get("ledger", "balances", at=asked.at)
    if asked.json:
        as_json(shown)
        return
    held = ((one["account_class"], money(one["balance_minor"], one["currency"])) for one in shown["balances"])
    table(("accounts", "balance"), held, at(shown["at"]), "nothing was ever booked")


def match(client: Client, asked: argparse.Namespace) -> None:
    try:
        content = asked.file.read_bytes()
    except OSError as error:
        raise SystemExit(f"{asked.file} cannot be read: {error.strerror}.") from None
    shown = client.upload(
        "ledger", "match", content=content, kind="text/csv", from_=asked.from_, to_=asked.to_, currency=asked.currency
    )
    if asked.json:
        as_json(shown)
    else:
        _tell(shown)
    if any(shown[name] for name in ("differs", "only_here", "only_there", "refused")):
        sys.exit(1)


def _tell(shown: Any) -> None:
    line(f"{shown['since']} to {shown['until']}: {len(shown['matched'])} matched")
    differs = ((one["reference"], one["problem"]) for one in shown["differs"])
    table(("reference", "what differs"), differs, "Differs", "nothing")
    here = (
        (at(one["booked_at"]), one["provider_reference"] or one["payment_key"] or one["payment_id"], one["order_id"],
         one["event_type"], money(one["amount_minor"], one["currency"]))
        for one in shown["only_here"]
    )  # fmt: skip
    table(("booked", "reference", "order", "event", "amount"), here, "Only here", "nothing")
    there = (
        (one["line"], one["on"], one["reference"], f"{one['amount']} {one['currency'] or ''}")
        for one in shown["only_there"]
    )
    table(("line", "date", "reference", "amount"), there, "Only there", "nothing")
    refused = ((one["line"], one["problem"]) for one in shown["refused"])
    table(("line", "problem"), refused, "Not read", "nothing")
