"""How the case file is set up: it starts with nothing said but who may ask, and not without that."""

import pytest

from services.casefile.app import CaseFileSettings, following, making


def test_what_nobody_says_has_a_default() -> None:
    settings = CaseFileSettings()
    assert settings.casefile_services == {}
    assert settings.casefile_signin is None


def test_services_are_named_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOURSE_CASEFILE_SERVICES", '{"order": "http://order:8080"}')
    assert CaseFileSettings().casefile_services == {"order": "http://order:8080"}


def test_who_shows_begins_again_and_who_makes_ends() -> None:
    assert following().again
    assert not making().again
