"""What recorded cases would have come to under a draft: asked over HTTP and from a terminal, part by part."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from deploy.recourse import policy
from deploy.stories.claims import disputed
from deploy.stories.dialogue import Scene
from schemas.policy import Policy
from services.casefile.front.turned_away import NotAllowed, Wrong
from services.casefile.laboratory.policies_api import WhatIfAsked, WhatIfShown, tried
from services.casefile.shown.reading import Asked
from shared.rules import policies
from tests.support.casefile import Office, open_office

OPERATOR = Asked("operator", "olga")
DRAFT = (policies.PUBLISHED / "aliexpress.1.yaml").read_text("utf-8")


async def an_office() -> Office:
    office = await open_office()
    for number in range(3):
        await disputed(await Scene(office.stage, f"o{number}").shipped_order(lamp=10_00), 10_00)
    return office


async def asked(office: Office, after: str | None, limit: int, draft: str = DRAFT) -> WhatIfShown:
    return await tried(office.desk, OPERATOR, WhatIfAsked(draft=draft, after=after, limit=limit))


async def test_parts_put_together_are_the_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    office = await an_office()
    whole = await asked(office, None, 200)
    assert (whole.looked_at, whole.reproduced, whole.next) == (3, 3, None)
    answers = [await asked(office, None, 2)]
    answers.append(await asked(office, answers[0].next, 2))
    assert [one.looked_at for one in answers] == [2, 1]

    after = [None, answers[0].next]

    class Answering:
        def post(self, *path: str, said: dict[str, Any]) -> Any:
            assert path == ("policies", "what-if")
            assert said["after"] == after.pop(0)
            return answers.pop(0).model_dump(mode="json")

    file = tmp_path / "draft.yaml"
    file.write_text(DRAFT)
    policy.what_if(Answering(), Namespace(file=file, under=None, cases=1_000, json=True))  # type: ignore[arg-type]
    told = capsys.readouterr().out
    assert WhatIfShown.model_validate_json(told[:-2] + f', "as_of": {whole.as_of.model_dump_json()}}}') == whole


async def test_other_rules_lead_to_another_end_and_the_same_to_none() -> None:
    office = await an_office()
    newest = office.desk.policies().newest("aliexpress")
    assert newest is not None
    same: Policy = newest[1]
    file = policies.PUBLISHED / f"{same.name}.{same.version}.yaml"
    assert (await asked(office, None, 10, file.read_text("utf-8"))).differing == 0
    sooner = file.read_text("utf-8").replace("seller_first_response: {n: 15,", "seller_first_response: {n: 3,")
    assert sooner != file.read_text("utf-8")
    shown = await asked(office, None, 10, sooner)
    assert shown.differing == 3
    assert all(one.is_open for one in shown.cases)


async def test_a_draft_that_means_nothing_is_refused_with_all_that_is_wrong() -> None:
    office = await open_office()
    with pytest.raises(Wrong) as refused:
        await asked(office, None, 10, "name: draft\nname: again\nversion: x\n")
    assert refused.value.field == "draft"
    assert len(refused.value.sentence.split("; ")) > 3
    with pytest.raises(NotAllowed):
        await tried(office.desk, Asked("mediator", "mia"), WhatIfAsked(draft=DRAFT))
