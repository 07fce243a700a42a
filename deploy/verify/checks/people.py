"""Of who is erased no address is left (E3): not in what our services say, nor in what they set aside.

Addresses, of letters and of webhooks, are known by their digests alone, and those of who is erased only as long as
compaction has not come: what it took is nowhere, or it would have been found before. What the platform gave at placing,
or for the roster, is its own choice and stays; what people typed is theirs.
"""

from collections.abc import Iterable, Iterator

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import ERASED, PLACED, Observation
from deploy.verify.report import Violation


def erased(people: Iterable[tuple[str, Iterable[Observation]]]) -> dict[str, str]:
    """Digest of an address -> whose it was. `people`: by person what was said of him, in that order."""
    found: dict[str, str] = {}
    for person_id, observations in people:
        *before, last = observations
        if last.type == ERASED:
            found |= {address: person_id for one in before for address in one.data.get("addresses", ())}
    return found


def check(history: OrderHistory) -> Iterator[Violation]:
    given = {
        address for one in history.said_by("order") if one.type == PLACED for address in one.data.get("addresses", ())
    }
    for one in history.firsts():
        for address in one.data.get("addresses", ()):
            if address not in given and (whose := history.snapshot.erased.get(address)) is not None:
                yield history.violated("E3", f"{one} tells the address of {whose}, who is erased", one)
    for one in history.of("notification.dead-letters"):
        if one.data["repeats_people"]:
            yield history.violated("E3", f"{one} repeats what lay on `people`", one)
