"""`recourse stuck`, and freeing it: `redrive`, `dismiss`, `resume`, `resend`, `reassign`; `audit`, `note`.

Many things are first listed; done they are with `--apply TOKEN --why TEXT`, or once somebody at a terminal says yes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.recourse.asking import Client
from deploy.recourse.telling import as_json, at, line, table

PLANS: Mapping[str, tuple[str, Sequence[str]]] = {
    "redrive": ("dead letters go back to where they came from", ("topic", "reason", "id", "since")),
    "dismiss": ("dead letters are seen to and leave the list", ("topic", "reason", "id", "since")),
    "resume": ("parked orders go on", ("service", "reason")),
    "resend": ("whoever was given up is told again", ("reason",)),
    "reassign": ("all open cases of a mediator get others", ("mediator", "to")),
}
HELP = {
    "topic": "order.dead-letters …",
    "reason": "dead letters: their code; parked orders: how the reason begins; deliveries: the problem",
    "id": "`ce_id` of what was set aside",
    "since": "set aside then or later: 2026-01-31T12:00:00.000Z",
    "service": "in which they are parked",
    "mediator": "whose cases",
    "to": "who gets them, in turn; may be said again",
}


def add(groups: Any) -> None:
    listing = groups.add_parser("stuck", help="whatever does not go on by itself, the longest first")
    listing.add_argument("--kind", help="parked, manual_review, overdue_leg, dead_letter …")
    listing.set_defaults(run=show_list)
    for what, (told, names) in PLANS.items():
        planning = groups.add_parser(what, help=f"{told}: first their list")
        for name in names:
            planning.add_argument(f"--{name}", help=HELP[name], **({"action": "append"} if name == "to" else {}))
        planning.add_argument("--apply", metavar="TOKEN", help="of the list that was shown")
        planning.add_argument("--why", help="it is kept, with who and when")
        planning.set_defaults(run=plan, what=what, names=names)
    auditing = groups.add_parser("audit", help="what operators did by the case file")
    auditing.add_argument("--order")
    auditing.set_defaults(run=audit)
    noting = groups.add_parser("note", help="notes on a case, for operators and mediators; with a text one more")
    noting.add_argument("order")
    noting.add_argument("dispute")
    noting.add_argument("text", nargs="?")
    noting.set_defaults(run=note)


def show_list(client: Client, asked: argparse.Namespace) -> None:
    rows = client.rows("stuck", kind=asked.kind)
    if asked.json:
        as_json(rows)
        return
    told = ((one["kind"], one["order_id"] or "-", at(one["since"]), one["whose_turn"], one["sentence"]) for one in rows)
    table(("what", "order", "since", "whose turn", "why"), told, empty="nothing is stuck")
    for command in dict.fromkeys(one["command_line"] for one in rows if one["command_line"]):
        line(f"  {command}")


def plan(client: Client, asked: argparse.Namespace) -> None:
    wish = {"what": asked.what, **{name: said for name in asked.names if (said := getattr(asked, name)) is not None}}
    if asked.apply is not None:
        _apply(client, asked, wish, asked.apply, asked.why)
        return
    shown = client.post("plans", said=wish)
    if asked.json:
        as_json(shown)
        return
    _tell(shown)
    going = sum(step["stays"] is None for step in shown["steps"])
    if not going:
        line("There is nothing to be done.")
    elif not sys.stdin.isatty():
        line(f"Nothing is done yet; to do it: --apply {shown['token']} --why TEXT")
    elif input(f"Do these {going}? [y/N] ").strip().lower() in ("y", "yes"):
        _apply(client, asked, wish, shown["token"], asked.why or input("Why? ").strip())
    else:
        raise SystemExit("Nothing was done.")


def _apply(client: Client, asked: argparse.Namespace, wish: Mapping[str, Any], token: str, why: str | None) -> None:
    if not why:
        raise SystemExit("Say --why: it is kept, with who did it and when.")
    done = client.post("plans", "apply", said={**wish, "token": token, "why": why})
    if asked.json:
        as_json(done)
    else:
        _tell(done)
        line(f"It is number {done['audit']} of what operators did.")
    if any(step["done"] is False for step in done["steps"]):
        raise SystemExit("Not all of it could be done: the rest is still in the list.")


def _tell(shown: Any) -> None:
    steps = ((step["order_id"] or "-", _how(step), step["stays"] or step["sentence"]) for step in shown["steps"])
    table(("order", "", "what"), steps, empty="nothing is so")
    if shown["more"]:
        line("There are more: make another list when these are done.")


def _how(step: Any) -> str:
    if step["stays"]:
        return "stays"
    return {None: "to do", True: "done", False: "not done"}[step["done"]]


def audit(client: Client, asked: argparse.Namespace) -> None:
    shown = client.get("audit", order_id=asked.order)
    if asked.json:
        as_json(shown["items"])
        return
    acts = ((one["number"], at(one["at"]), one["operator"], one["what"], one["why"]) for one in shown["items"])
    table(("number", "at", "who", "what", "why"), acts, empty="nobody did anything")


def note(client: Client, asked: argparse.Namespace) -> None:
    place = ("cases", asked.order, asked.dispute, "notes")
    shown = client.get(*place) if asked.text is None else client.post(*place, said={"text": asked.text})
    if asked.json:
        as_json(shown["items"])
        return
    notes = ((at(one["at"]), one["person"], one["text"]) for one in shown["items"])
    table(("at", "who", "note"), notes, empty="no notes")
