"""Every command has exactly one answer (S1).

A command is known by its id under its order and service; the same id with another body is another command, which is
refused. So there are as many answers as bodies: one that says what happened, in one run of numbers, or a refusal each.
What could not be read has a dead letter instead. Of commands past their retention nothing is known but their answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from deploy.verify.case import Case
from deploy.verify.facts import BELL, SEAT, UNREADABLE, Fact


def judge(case: Case) -> None:
    given: defaultdict[tuple[str, int, str], list[Fact]] = defaultdict(list)
    for fact in case.commands:
        if fact.type == UNREADABLE:
            _set_aside(case, fact)
        elif fact.type not in (BELL, SEAT):
            given[fact.topic, fact.partition, fact.id].append(fact)
    if not given:
        return
    said = _by_cause(case.caused())
    for (topic, partition, id_), same in given.items():
        service = topic.partition(".")[0]
        _judge(case, service, same, said.get((f"recourse/{service}/{partition}", id_), []))
    case.report.counts["commands"] += len(given)
    case.report.checked["S1"] += len(given)


def _by_cause(caused: Iterable[Fact]) -> dict[tuple[str, str], list[Fact]]:
    """(source, cause) -> what was said to it, each number once, in their order."""
    by_cause: defaultdict[tuple[str, str], dict[int, Fact]] = defaultdict(dict)
    for fact in caused:
        by_cause[fact.source, fact.cause].setdefault(fact.sequence or 0, fact)
    return {cause: [said[number] for number in sorted(said)] for cause, said in by_cause.items()}


def _judge(case: Case, service: str, same: Sequence[Fact], said: Sequence[Fact]) -> None:
    first = same[0]
    bodies = {fact.digest for fact in same}
    answers = _answers(said)
    if not any(fact.topic == f"{service}.events" for fact in said):
        if case.is_parked(service):
            case.report.parked["S1"] += 1
        else:
            case.missing("S1", first, f"the {service} service never answered {first}")
    elif len(answers) < len(bodies):
        newest = min((fact for fact in same if fact.digest != first.digest), key=lambda fact: fact.at)
        case.missing("S1", newest, f"{first} came with {len(bodies)} bodies and has {len(answers)} answers")
    elif len(answers) > len(bodies) and not _is_older(case, first, said):
        words = "; ".join(", ".join(f"{fact} at {fact.place}" for fact in answer) for answer in answers)
        case.violated("S1", f"the {service} service answered {first} {len(answers)} times: {words}", first)


def _answers(said: Iterable[Fact]) -> list[list[Fact]]:
    """Each refusal is one; so is each run of other numbers. What outsiders could have written only fills a gap."""
    answers: list[list[Fact]] = []
    end = 0
    for fact in said:
        goes_on = bool(answers) and fact.sequence == end + 1
        if fact.trusted and goes_on and not any(".rejected." in one.type for one in (answers[-1][-1], fact)):
            answers[-1].append(fact)
        elif fact.trusted:
            answers.append([fact])
        elif not goes_on:
            continue
        end = fact.sequence or 0
    return answers


def _is_older(case: Case, command: Fact, said: Iterable[Fact]) -> bool:
    """Some of it answers bodies that are past their retention."""
    begins_at = case.moment.begins.get((command.topic, command.partition), 0)
    return any(fact.at <= begins_at for fact in said)


def _set_aside(case: Case, fact: Fact) -> None:
    service = fact.topic.partition(".")[0]
    letters = [letter for letter in case.of(f"{service}.dead-letters") if letter.id == fact.id]
    case.report.counts["commands"] += 1
    case.report.checked["S1"] += 1
    if not letters:
        case.missing("S1", fact, "what cannot be read has neither an answer nor a dead letter")
