"""What `make fuzz` tries for as long as it is told to, tried for a moment; and that it would find something."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wire import Command
from shared.kernel import codec
from shared.kernel.codec import Decoded
from shared.kernel.decider import Refusal
from tests.fuzz import codec as target

MUTATED = 3_000


def finding(data: bytes) -> str | None:
    """What is wrong, if anything is."""
    try:
        target.fuzz(data)
    except Exception as wrong:
        return f"{data!r}: {wrong!r}"
    return None


def test_every_good_record_is_read_whole() -> None:
    read = 0
    for data in target.golden():
        service, record = target.record_of(data)
        decoded = target.DECODERS[service].decode(record, target.NOON)
        assert isinstance(decoded, Decoded)
        assert not isinstance(decoded.input.payload, Refusal)
        read += isinstance(decoded.input.payload, Command) and record.topic.endswith(".commands")
    assert read == sum(len(decoder.commands) for decoder in target.DECODERS.values())


def test_nothing_is_found_in_what_the_search_begins_with() -> None:
    assert [found for data in target.seeds() if (found := finding(data))] == []


def test_nothing_is_found_near_it() -> None:
    seeds = target.seeds()
    found = []
    for number in range(MUTATED):
        random = Random(number)
        data = random.choice(seeds)
        for _ in range(random.randint(1, 3)):
            data = target.mutated(data, random)
        found.append(finding(data))
    assert [one for one in found if one] == []


@settings(derandomize=True, max_examples=300)
@given(st.binary(max_size=200))
def test_nothing_is_found_in_bytes_at_random(data: bytes) -> None:
    assert finding(data) is None


@pytest.mark.parametrize("blown_up", [b"\xf0", b"\xf1", b"\xf2"], ids=["key", "value", "header name"])
def test_nothing_is_found_in_what_is_huge(blown_up: bytes) -> None:
    for seed in target.seeds()[::50]:
        assert finding(seed[:1] + blown_up + seed[2:]) is None


def _raises(*_: object) -> None:
    raise ZeroDivisionError


BUGS = {
    "the decoder raises": (codec.Decoder, "_command", _raises),
    "a command is passed over": (codec.Decoder, "_command", lambda *_: None),
    "a dead letter is never cut": (codec, "DEAD_LETTER_SIZE_MAX", 10**9),
    "a header is lost on its way to the database": (codec, "unpack_headers", lambda packed: []),
    "a name may be as long as it likes": (codec, "name_of", lambda raw: raw.decode(errors="replace") if raw else None),
    "an envelope is not opened": (codec, "open_envelope", lambda value: ({}, value)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BUGS[bug])
    seeds = target.seeds()[::5]
    huge = [seed[:1] + b"\xf1" + seed[2:] for seed in seeds]
    assert any(finding(data) for data in [*seeds, *huge])
