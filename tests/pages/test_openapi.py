"""The OpenAPI document of the case file: a validator reads it, and whatever it allows is tried on the routes.

`make test-pages`, for neither is installed by `make venv`.
"""

import asyncio
import json
import warnings
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.visibility import Viewer
from services.casefile.front.http import DOCUMENT, application
from services.casefile.front.signin import SignIn, sign_in
from tests.required import not_run
from tests.support.asking import HOST
from tests.support.casefile import Quarrel, open_office, quarrel
from tests.support.operators import operators_routes

DOC: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
ROUTES = [(method, path) for path, methods in DOC["paths"].items() for method in methods]
T = TypeVar("T")
ALLOWED: tuple[Viewer, ...] = ("operator",) * 5
"""Who may ask most is asked as most often."""
OF_TODAY = {"day": "2026-03-02"}
EXAMPLES = 60
"""Of each route."""


def needed(package: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(package)
    except ImportError:
        not_run(f"{package}: not run, it is not in this environment; `make test-pages` installs it")


def test_the_document_is_valid_openapi() -> None:
    wrong = [*needed("openapi_spec_validator").OpenAPIV31SpecValidator(DOC).iter_errors()]
    assert not wrong, wrong[0]


def test_a_document_that_is_wrong_is_not() -> None:
    validator = needed("openapi_spec_validator")
    wrong = json.loads(json.dumps(DOC))
    del wrong["paths"]["/v1/orders"]["get"]["responses"]
    wrong["paths"]["/v1/orders"]["get"]["parameters"] = "none"
    with pytest.raises(Exception, match="none"):
        validator.validate(wrong)


@dataclass(frozen=True)
class Tried:
    schema: Any
    signin: SignIn
    drone: Quarrel

    @property
    def ids(self) -> dict[str, str]:
        """Of what there is."""
        return {"order_id": self.drone.order_id, "dispute_id": "d1", "command_id": "drone-1/1"}

    def headers(self, viewer: Viewer | None) -> dict[str, str]:
        assert self.signin.local is not None
        if viewer is None:
            return {"host": HOST}
        return {"host": HOST, "authorization": f"Bearer {self.signin.local.token(self.drone.who(viewer))}"}


@pytest.fixture(scope="module")
def tried() -> Tried:
    async def opened() -> Quarrel:
        return await quarrel(await open_office(), "drone")

    schemathesis, signin, drone = needed("schemathesis"), sign_in("local", None, None, None, False), _run(opened())
    app = application(drone.office.desk, signin, operators_routes(drone.office))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": HOST})
    return Tried(schema, signin, drone)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own, beside that of the session."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generated", ["positive", "negative"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_asked_the_answer_is_what_the_document_says(
    tried: Tried, method: str, path: str, generated: str
) -> None:
    """No status but those that are documented, no field but those, and nothing breaks."""
    modes = needed("schemathesis").GenerationMode
    operation = tried.schema[path][method]
    viewers = st.sampled_from([*get_args(Viewer), *ALLOWED, None])
    answered: Counter[int] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(case=operation.as_strategy(generation_mode=modes(generated)), viewer=viewers, of_his=st.booleans())
    def ask(case: Any, viewer: Viewer | None, of_his: bool) -> None:
        if of_his:
            case.path_parameters = {name: tried.ids[name] for name in case.path_parameters or {}}
        response = case.call(headers=tried.headers(viewer))
        answered[response.status_code] += 1
        case.validate_response(response, checks=_checks(), headers=tried.headers(viewer))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        ask()
    assert sum(answered.values()) >= EXAMPLES / 2
    named = {name: value for name, value in tried.ids.items() if f"{{{name}}}" in path}
    assert operation.Case(path_parameters=named).call(headers=tried.headers(None)).status_code == 401
    if method == "get" and generated == "positive":
        asked = {one["name"]: OF_TODAY[one["name"]] for one in _required(path)}
        plain = operation.Case(path_parameters=named, query=asked)
        assert plain.call(headers=tried.headers("operator")).status_code == 200


def _required(path: str) -> Iterator[Any]:
    said = DOC["paths"][path]["get"].get("parameters", ())
    return (one for one in said if one["in"] == "query" and one.get("required"))


def _checks() -> Sequence[Any]:
    """No 5xx but a documented 503, and all as documented."""
    checks = needed("schemathesis.checks")
    specs = needed("schemathesis.specs.openapi.checks")
    return [
        checks.not_a_server_error,
        specs.status_code_conformance,
        specs.content_type_conformance,
        specs.response_schema_conformance,
        specs.response_headers_conformance,
    ]


@pytest.mark.parametrize("lie", ["a field that there is not", "a status that it does not tell"])
def test_an_answer_that_is_not_what_the_document_says_is_found(tried: Tried, lie: str) -> None:
    """Else whatever is asked would be as the document says."""
    schemathesis = needed("schemathesis")
    wrong = json.loads(json.dumps(DOC))
    if lie == "a field that there is not":
        wrong["components"]["schemas"]["Page_OrderRow_"]["required"].append("total")
    else:
        del wrong["paths"]["/v1/orders"]["get"]["responses"]["200"]
    case = schemathesis.openapi.from_dict(wrong)["/v1/orders"]["GET"].Case()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        response = tried.schema["/v1/orders"]["GET"].Case().call(headers=tried.headers("operator"))
        assert response.status_code == 200
        with pytest.raises(BaseExceptionGroup):
            case.validate_response(response, checks=_checks(), headers=tried.headers("operator"))
