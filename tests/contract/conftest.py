"""Every scenario of a protocol runs twice: in memory, and on the real servers."""

import pytest

from deploy.local.stack import Stack


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.stack)])
def real(request: pytest.FixtureRequest) -> Stack | None:
    """The real servers; None in memory."""
    stack: Stack | None = None if request.param == "memory" else request.getfixturevalue("stack")
    return stack
