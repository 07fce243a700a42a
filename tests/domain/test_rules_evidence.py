"""The limits of a file that is shown, the same for everybody and under every policy (R58)."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.common import EVIDENCE_BYTES_MAX, Evidence
from tests.domain.dispute_desk import photo

FILE = photo("p1").model_dump()


@pytest.mark.rule("R58")
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "application/pdf", "video/mp4"])
def test_a_file_of_ten_megabytes_and_a_known_type_is_evidence(media_type: str) -> None:
    file = FILE | {"media_type": media_type, "size_bytes": 10 * 1024 * 1024}
    assert Evidence(**file).size_bytes == EVIDENCE_BYTES_MAX


@pytest.mark.rule("R58")
@pytest.mark.parametrize(
    "wrong",
    [
        {"size_bytes": 10 * 1024 * 1024 + 1},
        {"size_bytes": 0},
        {"media_type": "image/svg+xml"},
        {"media_type": "text/html"},
        {"kind": "rumour"},
        {"sha256": "a" * 63},
        {"uri": "https://files.example/1\n"},
        {"bytes": "R0lGODlh"},
    ],
    ids=str,
)
def test_what_is_too_large_of_another_type_or_the_file_itself_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Evidence(**(FILE | wrong))
