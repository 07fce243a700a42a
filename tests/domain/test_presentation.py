"""Presentation never stops money (R75): what is only for show, or is somebody's name for somebody, is taken as it is."""

import json
from itertools import product
from typing import Any

import pytest

from schemas.dispute.commands import OpenDispute
from schemas.order.commands import Place
from schemas.topics import BATCH_BYTES_MAX, COMMAND_BYTES_MAX, RECORD_BYTES_MAX
from schemas.wire import Command
from services.dispute.domain import DECIDER as DISPUTE
from services.order.domain import DECIDER as ORDER
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.decider import Decider, RefusedOnArrival
from shared.kernel.ports import Record
from shared.runtime.partitions import home_among
from tests.domain.table import NOON, Desk, outcome


def heard(decider: Decider[Any, Any, Any], type_: str, data: dict[str, Any], ascii_: bool = False) -> Any:
    """The command as its service reads it, or the refusal."""
    value = json.dumps(data, ensure_ascii=ascii_).encode()
    headers = [("ce_id", b"c1"), ("ce_type", type_.encode())]
    record = Record(f"{decider.service}.commands", 0, 0, 0, data["order_id"].encode(), value, headers)
    assert len(value) <= RECORD_BYTES_MAX, "the broker takes no more"
    found = Decoder(decider, home_among(1)).decode(record, NOON)
    assert isinstance(found, Decoded), found
    return found.input.payload


def order(title: str = "Lamp", lines: int = 1, **buyer: Any) -> dict[str, Any]:
    line = {"title": title, "quantity": 1_000_000, "amount_minor": 10**10}
    return {
        "order_id": "o" * 64,
        "actor": {"role": "platform", "id": "shop"},
        "buyer": {"id": "bea", "email": "bea@example.org", **buyer},
        "seller": {"id": "sam", "email": "sam@example.org"},
        "currency": "EUR",
        "lines": [{"line_id": f"{number:064}", **line} for number in range(lines)],
        "payment": {"payment_id": "p1", "amount_minor": lines * 10**10},
    }


def claim(text: str, lines: int = 100, files: int = 20) -> dict[str, Any]:
    file = {"kind": "photo", "media_type": "image/jpeg", "size_bytes": 10 * 1024 * 1024, "sha256": "a" * 64}
    return {
        "order_id": "o" * 64,
        "actor": {"role": "buyer", "id": "|" * 128},
        "dispute_id": "d" * 64,
        "lines": [{"line_id": f"{number:064}", "quantity": 1_000_000} for number in range(lines)],
        "received": True,
        "reason": "not_as_described",
        "description": text,
        "terms": {"kind": "return_and_refund", "refund_minor": 10**12},
        "evidence": [
            {"evidence_id": f"{number:064}", "uri": "u" * 2_000, "note": text, **file} for number in range(files)
        ],
    }


def placed(**buyer: Any) -> str:
    wish = heard(ORDER, Place.type, order(**buyer))
    assert isinstance(wish, Place), wish
    return outcome(Desk(ORDER, wish.order_id).send(wish))


LOCALES = ["en_US", "de-DE-u-co-phonebk", "ar-u-nu-latn", "en-US-x-twain", "zh-Hant-TW", "pt_BR.UTF-8", "C", "", "?"]
EMAILS = [
    '"john smith"@example.org',
    '"a@b"@example.org',
    "a@[192.0.2.1]",
    "käufer@straße.de",
    "a b@example.org",
    "a" * 64 + "@" + "b" * 240 + ".example",
    "postmaster@localhost",
]
PEOPLE = [
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "bea@example.org",
    "ZGVhZGJlZWY/+=",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    "CN=Bea Baum,OU=Buyers",
    "SHOP\\bea",
    "https://id.example/users/7?realm=a#me",
    "x" * 128,
]


@pytest.mark.rule("R75")
@pytest.mark.parametrize("locale", LOCALES)
def test_no_locale_stops_an_order(locale: str) -> None:
    assert placed(locale=locale) == "placed"


@pytest.mark.rule("R75")
@pytest.mark.parametrize("email", EMAILS)
def test_a_strange_address_stops_no_order(email: str) -> None:
    assert placed(email=email) == "placed"


@pytest.mark.rule("R75")
@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "UTC+25"])
def test_no_time_zone_stops_an_order(zone: str) -> None:
    assert placed(time_zone=zone) == "placed"


@pytest.mark.rule("R75")
@pytest.mark.parametrize("person", PEOPLE)
def test_people_are_called_as_the_platform_calls_them(person: str) -> None:
    assert placed(id=person) == "placed"
    wish = heard(ORDER, "order.cancel.v1", {"order_id": "o1", "actor": {"role": "buyer", "id": person}})
    assert isinstance(wish, Command)
    assert wish.actor.id == person


@pytest.mark.rule("R75")
@pytest.mark.parametrize("person", ["", "x" * 129, "bé", "a\nb", "a\x7f", "a\x00"])
def test_what_is_not_printable_ascii_is_nobody(person: str) -> None:
    refused = heard(ORDER, "order.cancel.v1", {"order_id": "o1", "actor": {"role": "buyer", "id": person}})
    assert isinstance(refused, RefusedOnArrival)
    assert refused.refusal.code == "invalid"


# -- limits that agree -------------------------------------------------------------------------------------------------

SCRIPTS = {"latin": "x", "cyrillic": "Ж", "chinese": "高", "adlam": "𞤀"}


@pytest.mark.rule("R75")
@pytest.mark.parametrize(("script", "ascii_"), list(product(SCRIPTS, (False, True))))
def test_an_order_of_a_hundred_lines_fits_whatever_the_script(script: str, ascii_: bool) -> None:
    wish = heard(ORDER, Place.type, order(SCRIPTS[script] * 255, 100), ascii_)
    assert isinstance(wish, Place), wish
    said = Desk(ORDER, wish.order_id).send(wish)
    assert outcome(said) == "placed"
    assert all(len(one.model_dump_json().encode()) < BATCH_BYTES_MAX / 2 for one in said)


@pytest.mark.rule("R75")
@pytest.mark.parametrize(
    ("script", "ascii_"), [one for one in product(SCRIPTS, (False, True)) if one != ("adlam", True)]
)
def test_a_claim_with_twenty_files_fits_whatever_the_script(script: str, ascii_: bool) -> None:
    wish = heard(DISPUTE, OpenDispute.type, claim(SCRIPTS[script] * 4_000), ascii_)
    assert isinstance(wish, OpenDispute), wish
    said = Desk(DISPUTE, wish.order_id).send(wish)
    assert outcome(said) == "requested"
    assert all(len(one.model_dump_json().encode()) < BATCH_BYTES_MAX for one in said)


@pytest.mark.rule("R75")
@pytest.mark.parametrize("letter", SCRIPTS.values())
def test_what_is_too_long_in_any_script_is_refused_and_no_dead_letter(letter: str) -> None:
    data = {"order_id": "o1", "actor": {"role": "buyer", "id": "bea"}, "reason": letter * (COMMAND_BYTES_MAX - 40)}
    refused = heard(ORDER, "order.cancel.v1", data)
    assert isinstance(refused, RefusedOnArrival)
    assert (refused.refusal.code, "too_long" in refused.refusal.message) == ("invalid", True)
