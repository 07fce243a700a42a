"""Under which version of the presets the domain's tests are played."""

import pytest

from shared.rules import policies
from tests.domain import table


@pytest.fixture(params=["first", "newest"])
def either_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs under the presets as they were first published and as they are now: its own key is what matters."""
    if request.param == "newest":
        by_ref, published = table.POLICIES.by_ref, policies.load()
        for name in {ref.name for ref in published.by_ref}:
            found = published.newest(name)
            assert found is not None
            monkeypatch.setitem(by_ref, *found)
