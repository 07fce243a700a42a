"""Where a page of a list ended, for whoever asks for the one behind it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

CHARS_MAX = 512


def cursor_at(at: datetime, *names: str) -> str:
    """Of the last row shown, by what its list is in the order of. To the microsecond: it is compared with what is
    kept."""
    return urlsafe_b64encode(json.dumps([at.isoformat(), *names]).encode()).decode()


def opened(cursor: str, names: int) -> tuple[datetime, list[str]]:
    """The instant, and so many names. Raises ValueError for what no list gave."""
    said = json.loads(urlsafe_b64decode(cursor.encode())) if len(cursor) <= CHARS_MAX else None
    if not (isinstance(said, list) and len(said) == 1 + names and all(isinstance(one, str) for one in said)):
        raise ValueError("this cursor is of no list")
    at = datetime.fromisoformat(said[0])
    if at.tzinfo is None or any(not one.isprintable() for one in said):
        raise ValueError("this cursor is of no list")
    return at, said[1:]
