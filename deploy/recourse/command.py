"""`recourse send TYPE FILE`, `recourse answer ID`: a command, and what became of it."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from deploy.recourse.asking import Client
from deploy.recourse.telling import as_json, at, line, table

WAIT_SECONDS = 10
FILE_BYTES_MAX = 1024 * 1024


def add(groups: Any) -> None:
    sending = groups.add_parser("send", help="hands a command to the services and waits for its answer")
    sending.add_argument("type", help="dispute.message; without a version the newest")
    sending.add_argument("data", metavar="FILE", help="its data as JSON, or a file of it; - reads it")
    sending.add_argument("--order", help="which order, unless the data say so")
    sending.add_argument("--id", help="the same id again is the same command")
    sending.add_argument("--wait", type=int, default=WAIT_SECONDS, metavar="SECONDS", help="for its answer")
    sending.set_defaults(run=send)
    asking = groups.add_parser("answer", help="what became of a command")
    asking.add_argument("id", help="as `recourse send` told it")
    asking.add_argument("--order", help="which order, unless the id begins with it")
    asking.set_defaults(run=answer)


def send(client: Client, asked: argparse.Namespace) -> None:
    data = data_of(asked.data)
    named = data.pop("order_id", None)
    order_id = asked.order or named
    if not isinstance(order_id, str):
        raise SystemExit("Which order is it about? Say --order, or order_id in the data.")
    tell_answer(handed_over(client, order_id, asked.type, data, asked.id, asked.wait), asked.json)


def answer(client: Client, asked: argparse.Namespace) -> None:
    order_id, slash, _ = asked.id.partition("/")
    if not (asked.order or slash):
        raise SystemExit("Which order was it about? Say --order.")
    tell_answer(client.get("orders", asked.order or order_id, "commands", asked.id), asked.json)


def handed_over(
    client: Client, order_id: str, type_: str, data: Any, id_: str | None = None, wait: int = WAIT_SECONDS
) -> Any:
    """Its id begins with its order, so that it is found again by it alone. Where nobody knows whether it was sent, the
    id is told: the same one again is the same command."""
    id_ = id_ or f"{order_id}/{uuid4()}"
    said = {"type": type_, "order_id": order_id, "id": id_, "data": data}
    try:
        return client.post("commands", said=said, prefer=f"wait={wait}")
    except SystemExit as error:
        raise SystemExit(f"{error}\n(As --id {id_} it can be sent again, and is the same command.)") from None


def tell_answer(told: Any, as_json_: bool) -> None:
    if as_json_:
        as_json(told)
        return
    line(f"{told['command_id']}: {told['status'].replace('_', ' ')}{'' if told['is_final'] else ', not final'}")
    if told["why"] is not None:
        line(f"  {told['why']['code']}: {told['why']['message']}")
    answers = ((at(one["at"]), one["type"], one["text"]) for one in told["answers"])
    table(("at", "event", "what"), answers, "Answers", "none yet")


def data_of(said: str) -> dict[str, Any]:
    """JSON, or a file of it. Raises SystemExit."""
    text = said if said.lstrip().startswith("{") else _read(said)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SystemExit(f"That is no JSON: {error}.") from None
    if not isinstance(data, dict):
        raise SystemExit("The data of a command are a JSON object.")
    return data


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(FILE_BYTES_MAX)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(FILE_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}.") from None
