"""What the database says, told apart: it could not answer, or it refuses a row."""

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError

from shared.kernel.ports import Outage, Unstorable
from shared.runtime.postgres.database import outage

ADDRESS = "anna@example.com"


def answer(sqlstate: str) -> PostgresError:
    """As the server gives it."""
    detail = f"Failing row contains ({ADDRESS})."
    return PostgresError.new({"C": sqlstate, "M": f"no {ADDRESS}", "D": detail, "t": "event", "n": "some_key"})


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("08000", "08006", "28P01", "3D000", "40001", "40P01", "53100", "53200", "53300"),
        *("57014", "57P01", "57P03", "25P03", "55P03"),
    ],
)
def test_what_says_nothing_of_a_row_is_waited_out(sqlstate: str) -> None:
    with pytest.raises(Outage, match=sqlstate), outage():
        raise answer(sqlstate)


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("22P05", "22021", "22003", "23502", "23505", "23514", "42501", "42703"),
        *("0A000", "25006", "25P02", "54000", "55000", "58030", "P0001", "XX000", "ZZ999"),
    ],
)
def test_what_the_database_refuses_is_no_outage(sqlstate: str) -> None:
    with pytest.raises(Unstorable, match=rf"\({sqlstate}, event, some_key\)"), outage():
        raise answer(sqlstate)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(ADDRESS),
        TimeoutError(ADDRESS),
        asyncpg.InterfaceError(ADDRESS),
        asyncpg.InternalClientError(ADDRESS),
    ],
)
def test_no_answer_is_an_outage(error: Exception) -> None:
    with pytest.raises(Outage, match=type(error).__name__), outage():
        raise error


def test_what_cannot_even_be_sent_is_refused() -> None:
    with pytest.raises(Unstorable), outage():
        raise asyncpg.DataError(f"invalid input for query argument $7: {ADDRESS!r}")


@pytest.mark.parametrize("error", [answer("23514"), answer("40001"), TimeoutError(ADDRESS)])
def test_no_row_and_no_address_is_repeated(error: Exception) -> None:
    with pytest.raises((Outage, Unstorable)) as told, outage():
        raise error
    assert ADDRESS not in str(told.value)
    assert told.value.__suppress_context__, "nor in a traceback"
