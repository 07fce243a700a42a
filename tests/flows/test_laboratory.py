"""What the policy laboratory says of stories that were played under one policy, and are under another."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from deploy.local.demo import in_memory
from deploy.memory import MemoryStage, open_stage
from deploy.stories.book import STORIES
from deploy.stories.claims import disputed
from deploy.stories.dialogue import DoesNotApply, PlayedOrder, Scene
from deploy.stories.endings import compared
from deploy.stories.versions import chosen
from schemas.policy import Policy
from services.casefile.laboratory.drafts import Draft, differing_keys, draft
from services.casefile.laboratory.laboratory_shapes import CaseDiffers, DraftFault, NotPlayed
from services.casefile.laboratory.what_if import CASES_MAX, Compared, Tally, cases, what_if
from services.casefile.shown.reading import Found
from shared.kernel.policies import Policies
from shared.rules import policies
from shared.rules.policies import PUBLISHED
from tests.support.recording import recording

KNOWN = policies.load()
A_MOMENT = timedelta(milliseconds=1)


class LifelikeStage(MemoryStage):
    """No two people act in the very same instant."""

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes | None) -> None:
        await self.world.wait(A_MOMENT)
        await super().say(topic, key, headers, value)


async def stage(version: int | None = None) -> LifelikeStage:
    return LifelikeStage((await open_stage("aliexpress", version=version))[0].world, "aliexpress")


def recorded_on(played: MemoryStage) -> list[Found]:
    records = [one for log in played.world.bus.logs.values() for one in log]
    return recording(sorted(records, key=lambda one: one.timestamp), played.world.bus.now)


def published(name: str, **changes: str) -> Draft:
    """A published file as a draft, with some of its text changed."""
    text = (PUBLISHED / f"{name}.yaml").read_text()
    for key, said in changes.items():
        (line,) = (one for one in text.splitlines() if one.startswith(f"{key}:"))
        text = text.replace(line, f"{key}: {said}")
    found = draft(text.encode())
    assert isinstance(found, Draft)
    return found


def one(found: list[Found], of: Draft) -> CaseDiffers:
    (case,) = cases(found, of, KNOWN)
    assert isinstance(case, Compared), case
    return case.differs


async def claim(of: LifelikeStage) -> PlayedOrder:
    """Of 10.00, which nobody has answered."""
    case = await Scene(of, "lab").shipped_order(lamp=10_00)
    await disputed(case, 10_00)
    return case


async def test_the_second_version_changes_of_the_stories_what_the_demo_shows() -> None:
    """Story 15 alone comes to another end; all of them are played again exactly as they were."""
    differing = {}
    for number, story in STORIES.items():
        played = await stage(version=1)
        try:
            await story.play(Scene(played, f"story-{number}"))
        except DoesNotApply:
            continue
        for case in cases(recorded_on(played), published("aliexpress.2"), played.world.policies, "aliexpress.1"):
            assert isinstance(case, Compared), (number, case)
            if {"money", "outcome"} & {*case.differs.differs_in}:
                differing[number] = case.differs

    ours, theirs = [
        {story: await in_memory(story, chosen(f"aliexpress.{version}", KNOWN)) for story in STORIES.values()}
        for version in (2, 1)
    ]
    cells = compared("aliexpress.2", ours, "aliexpress.1", theirs).columns[4].cells
    shown = {number for number, what in zip(STORIES, cells, strict=True) if what}
    assert differing.keys() == shown == {15}
    acts = {(act.type, act.code) for act in differing[15].impossible}
    assert ("dispute.open", "amount_exceeds") in acts  # what is claimed is a piece, and no more the whole line (R65)


async def test_a_shorter_time_to_answer_makes_an_answer_impossible_and_costs_the_seller_his_money() -> None:
    played = await stage()
    case = await claim(played)
    await case.days(8)
    await case.seller.says("dispute.offer", dispute_id="d1", terms={"kind": "refund", "refund_minor": 3_00})
    await case.buyer.says("dispute.accept_offer", dispute_id="d1", offer_id=2)
    await case.ends(buyer=3_00, seller=7_00)
    found = recorded_on(played)

    differs = one(found, published("aliexpress.2", seller_first_response="{n: 5, unit: days}"))

    assert (differs.was.outcome["d1"], differs.would_be.outcome["d1"]) == ("offer_accepted", "seller_silent")
    assert (differs.was.buyer_minor, differs.was.seller_minor) == (3_00, 7_00)
    assert (differs.would_be.buyer_minor, differs.would_be.seller_minor) == (10_00, 0)
    assert {*differs.differs_in} == {"outcome", "money", "end", "events", "acts"}
    assert differs.would_be.ends_at < differs.was.ends_at
    assert [(act.type, act.role, act.names["dispute_id"]) for act in differs.impossible] == [
        ("dispute.offer", "seller", "d1"),
        ("dispute.accept_offer", "buyer", "d1"),
    ]
    assert differs.impossible[1].names["offer_id"] == 2
    assert "dispute.offer_made" in differs.gone
    told = what_if(found, published("aliexpress.2", seller_first_response="{n: 5, unit: days}"), KNOWN)
    (money,) = told.money
    assert (money.buyer_minor, money.buyer_would_be_minor, money.cases) == (3_00, 10_00, 1)
    assert [(act.type, act.acts) for act in told.impossible] == [("dispute.accept_offer", 1), ("dispute.offer", 1)]


async def test_an_act_that_came_too_late_is_told_as_possible() -> None:
    played = await stage()
    case = await Scene(played, "lab").shipped_order(lamp=10_00)
    await case.days(1)
    await case.seller.says("order.extend_protection", refused="limit_exceeded", days=31)
    draft_ = published("aliexpress.2", max_extension_days="40")

    differs = one(recorded_on(played), draft_)

    assert [(act.type, act.code) for act in differs.possible] == [("order.extend_protection", "limit_exceeded")]
    assert differs.is_open
    assert what_if(recorded_on(played), draft_, KNOWN).money == []


async def test_what_no_mediator_ever_decided_is_not_guessed() -> None:
    played = await stage()
    case = await claim(played)
    await case.days(16)
    await case.ends(buyer=10_00, seller=0)
    draft_ = published("aliexpress.2", seller_silence="escalate")

    told = what_if(recorded_on(played), draft_, KNOWN)

    assert told.undecided == 1
    assert told.cases[0].undecided == ["d1"]
    assert told.money == []


@pytest.mark.parametrize("of", ["all", "one act"])
async def test_acts_that_are_not_kept_any_more_are_made_again_from_what_they_led_to(of: str) -> None:
    played = await stage()
    case = await claim(played)
    await case.seller.says("dispute.offer", dispute_id="d1", terms={"kind": "refund", "refund_minor": 3_00})
    await case.buyer.says("dispute.accept_offer", refused="not_found", dispute_id="d1", offer_id=7)
    await case.buyer.says("dispute.accept_offer", dispute_id="d1", offer_id=2)
    await case.ends(buyer=3_00, seller=7_00)
    (found,) = recorded_on(played)
    kept = () if of == "all" else found.commands[:-1]
    bare = Found(found.order_id, found.records, (), kept, found.as_of)

    differs = one([bare], published("aliexpress.2"))

    assert differs.differs_in == []
    assert differs.forgotten == (["dispute.accept_offer"] if of == "all" else [])


async def test_a_case_that_does_not_come_out_as_it_was_is_left_out() -> None:
    played = await stage()
    case = await claim(played)
    await case.days(16)
    await case.ends(buyer=10_00, seller=0)
    (found,) = recorded_on(played)
    closed = next(record for record in found.records if ("ce_type", b"dispute.closed.v1") in record.headers)
    without = Found(
        found.order_id, [one for one in found.records if one is not closed], (), found.commands, found.as_of
    )

    told = what_if([without], published("aliexpress.2"), KNOWN)

    assert (told.looked_at, told.reproduced, told.differing, told.money) == (1, 0, 0, [])
    assert [one.order_id for one in told.not_played] == ["lab-1"]


async def test_a_policy_that_is_not_known_and_an_order_that_was_never_placed_are_said() -> None:
    played = await stage()
    await Scene(played, "lab").order(lamp=10_00)
    (found,) = recorded_on(played)
    nothing = Found("o", (), (), (), found.as_of)

    unknown, never = cases([found, nothing], published("aliexpress.2"), Policies({}))

    assert isinstance(unknown, NotPlayed)
    assert unknown.why == "It lived under aliexpress version 2, which is not known here."
    assert isinstance(never, NotPlayed)
    assert never.why == "Nothing says how it was placed."


async def test_cases_are_played_in_slices_and_whoever_has_enough_stops() -> None:
    played = await stage()
    scene = Scene(played, "lab")
    for _ in range(3):
        await (await scene.order(lamp=10_00)).buyer.says("order.cancel")
    found, of = recorded_on(played), published("aliexpress.2")
    asked: list[str] = []

    def one_by_one() -> Iterator[Found]:
        for one in found:
            asked.append(one.order_id)
            yield one

    first = what_if(found, of, KNOWN, limit=2)
    tally = Tally(of)
    tally.add(next(cases(one_by_one(), of, KNOWN)))

    assert (first.looked_at, first.next) == (2, "lab-2")
    assert (what_if(found[2:], of, KNOWN, limit=2).next, CASES_MAX) == (None, 1_000)
    assert tally.told().looked_at == 1
    assert asked == ["lab-1"]


# -- drafts ------------------------------------------------------------------------------------------------------------


def faults(text: str | bytes) -> list[DraftFault]:
    found = draft(text if isinstance(text, bytes) else text.encode())
    assert isinstance(found, list)
    assert found
    return found


def test_a_draft_may_be_called_as_a_published_file_is() -> None:
    found = draft((PUBLISHED / "aliexpress.2.yaml").read_bytes())
    assert isinstance(found, Draft)
    assert found.called == "aliexpress.2"


def test_of_a_bad_draft_all_is_told_at_once() -> None:
    text = (PUBLISHED / "aliexpress.2.yaml").read_text()
    text = text.replace("appeals: 1", "appeals: 7\napeals: 1").replace("unit: business_days", "unit: weeks", 1)

    found = faults(text)

    assert {one.key.partition(".")[0] for one in found if one.key} >= {"appeals", "apeals"}
    assert len(found) > 2
    assert all(one.line and one.sentence.startswith(f"line {one.line}: {one.key}: ") for one in found)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff\xfe\x00", b"- a list", b"a: [1", b"[" * 30_000, b"n: " + b"9" * 5_000, b"day: 2001-99-99",
        b"a: &x [*x]", b"? [a]\n: 1", b"x" * (policies.BYTES_MAX + 1), b"<<: {time_zone: nowhere}",
        b"a: !!python/name:os",
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_no_policy_is_refused_in_a_sentence(text: bytes) -> None:
    assert all(one.sentence for one in faults(text))


def test_a_contradiction_is_told_with_its_line() -> None:
    text = (PUBLISHED / "aliexpress.2.yaml").read_text()
    (line,) = (one for one in text.splitlines() if one.startswith("appeal_window:"))

    (fault,) = faults(text.replace(line, "appeal_window: {n: 0, unit: days}"))

    assert fault.key == "appeal_window"
    assert fault.line == text.splitlines().index(line) + 1


def test_two_versions_stand_side_by_side_where_they_differ() -> None:
    def named(called: str) -> Policy:
        return chosen(called, KNOWN)

    found = {one.key: (one.one, one.other) for one in differing_keys(named("aliexpress.1"), named("aliexpress.2"))}

    assert found == {
        "capture": ("trusted", "confirmed"),
        "disputed_pieces": ("whole_line", "named"),
        "messages_per_day": (None, 100),
        "free_day_counts_from": ("its_instant", "its_end"),
        "reminders": (False, True),
    }
    assert differing_keys(named("aliexpress.1"), named("aliexpress.1")) == []
