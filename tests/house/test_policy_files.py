"""A policy file that was published is never changed or removed, and every service to come can read it."""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import Field

from deploy.publish import MANIFEST, manifest, register
from schemas.policy import Duration, Policy
from shared.rules import policies
from shared.rules.policies import PUBLISHED
from shared.rules.policy_lint import SOMETHING
from tests.house.reading import modules

MAY_BE_NOTHING = {"post_expiry_window", "post_receipt_window", "open_from", "manual_escalation"}
"""Windows for which 0 is a choice."""
FILES = {path.name: path.read_bytes() for path in sorted(PUBLISHED.glob("*.yaml"))}


def unkept(manifest: Mapping[str, str], files: Mapping[str, bytes]) -> Iterator[str]:
    """Published files that are not what they were, and files that are not published yet, a sentence each."""
    for name, digest in manifest.items():
        if name not in files:
            yield f"{name} was published and is gone: orders live under it for life, so bring it back"
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            yield f"{name} was published and has changed: undo that, and write the next version beside it"
    for name in files.keys() - manifest.keys():
        yield f"{name} is not in {MANIFEST.name}: `make schemas` adds it, and from then on it never changes"


def undefaulted(policy: type[Policy], files: Iterable[bytes]) -> list[str]:
    """Keys that today's model demands and a published file does not have, a sentence each."""
    demanded = {name for name, field in policy.model_fields.items() if field.is_required()}
    lacking = set().union(*(demanded - yaml.safe_load(content).keys() for content in files))
    return [
        f"{key} came after policies were published: give it a default that does what was done before it was there"
        for key in sorted(lacking)
    ]


def test_a_published_policy_stays_as_it_is() -> None:
    wrong = list(unkept(manifest(), FILES))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", manifest())
def test_a_published_policy_can_be_read_for_ever(name: str) -> None:
    ref, _ = policies.read(name, FILES[name])
    assert (f"{ref.name}.{ref.version}.yaml", ref.hash) == (name, manifest()[name])


def test_a_key_of_a_policy_that_came_later_has_a_default() -> None:
    wrong = undefaulted(Policy, FILES.values())
    assert not wrong, "\n".join(wrong)


def test_a_file_that_changed_went_or_is_new_is_found() -> None:
    (first, content), (second, other), *_ = FILES.items()
    promised = {name: manifest()[name] for name in (first, second)}
    assert not list(unkept(promised, {first: content, second: other}))
    changed, gone, new = unkept(promised, {first: content + b"\n", "next.2.yaml": other})
    assert changed.startswith(f"{first} was published and has changed")
    assert gone.startswith(f"{second} was published and is gone")
    assert new.startswith("next.2.yaml is not in published.sha256")


def test_a_key_that_published_files_do_not_have_is_found() -> None:
    class Demanding(Policy):
        grace_window: Duration = Field(description="to pay in")

    class Lenient(Policy):
        colour: str = "blue"

    (sentence,) = undefaulted(Demanding, FILES.values())
    assert sentence.startswith("grace_window came after")
    assert not undefaulted(Lenient, FILES.values())


def test_make_schemas_adds_new_files_and_changes_no_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("deploy.publish.MANIFEST", tmp_path / MANIFEST.name)
    (first, *others) = FILES
    line = f"{'0' * 64}  {first}\n"
    (tmp_path / MANIFEST.name).write_text(line)
    assert register() == [tmp_path / MANIFEST.name]
    assert register() == []
    assert manifest() == {first: "0" * 64, **{name: hashlib.sha256(FILES[name]).hexdigest() for name in others}}


def test_every_key_of_a_policy_is_read() -> None:
    read = {
        node.attr
        for module in modules("services", "shared")
        if module.name != "shared.rules.policy_lint"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
    }
    unread = [key for key in Policy.model_fields if key not in read]
    assert not unread, f"{unread}: a key that no rule reads promises what nobody keeps"


def test_of_every_window_the_lint_knows_whether_it_may_be_nothing() -> None:
    fields = Policy.model_fields.items()
    windows = {key for key, field in fields if Duration in (field.annotation, *get_args(field.annotation))}
    unsaid = windows ^ (SOMETHING.keys() ^ MAY_BE_NOTHING)
    assert not unsaid, (
        f"{sorted(unsaid)}: in shared/rules/policy_lint.py say what 0 would bring (SOMETHING), or here that it may be 0"
    )
