"""Every command has exactly one answer (S1); one that is obeyed in silence has none, or is refused.

A command is known by its id and whose it is, under its order and service; the same id with another body is another
command, which is refused if it is the same actor's. So there are as many answers as bodies: one that says what
happened, in one run of numbers, or a refusal each. What came again has a word about it each time. What could not be
read has a dead letter instead. Of commands past their retention nothing is known but their answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import UNREADABLE, Observation
from deploy.verify.report import Violation
from schemas.catalogue import CONTRACT
from schemas.wire import Command

SILENT = {type_ for type_, model in CONTRACT.items() if issubclass(model, Command) and model.is_silent}


def check(history: OrderHistory) -> Iterator[Violation]:
    for one in history.commands:
        if one.type == UNREADABLE:
            service = one.topic.partition(".")[0]
            if not any(letter.id == one.id for letter in history.of(f"{service}.dead-letters")):
                yield history.missing("S1", one, "what cannot be read has neither an answer nor a dead letter")
    if not history.given:
        return
    said = _by_cause(history.caused())
    for (topic, partition, id_), same in history.given.items():
        service = topic.partition(".")[0]
        yield from _is_answered(history, service, same, said.get((f"recourse/{service}/{partition}", id_), []))


def _by_cause(caused: Iterable[Observation]) -> dict[tuple[str, str], list[Observation]]:
    """(source, cause) -> what was said to it, each number once, in their order."""
    by_cause: defaultdict[tuple[str, str], dict[int, Observation]] = defaultdict(dict)
    for one in caused:
        by_cause[one.source, one.cause].setdefault(one.sequence or 0, one)
    return {cause: [said[number] for number in sorted(said)] for cause, said in by_cause.items()}


def _is_answered(
    history: OrderHistory, service: str, same: Sequence[Observation], said: Sequence[Observation]
) -> Iterator[Violation]:
    first = same[0]
    bodies = {one.digest for one in same}
    again = [one for one in said if ".repeated." in one.type]
    answers = _answers(one for one in said if ".repeated." not in one.type)
    begins_at = history.snapshot.begins.get((first.topic, first.partition), 0)  # what is older had other bodies, too
    silent = first.type in SILENT
    if not silent and not any(one.topic == f"{service}.events" for answer in answers for one in answer):
        yield history.missing("S1", first, f"the {service} service never answered {first}", service)
    elif not silent and len(answers) < len(bodies):
        newest = min((one for one in same if one.digest != first.digest), key=lambda one: one.at)
        sentence = f"{first} came with {len(bodies)} bodies and has {len(answers)} answers"
        yield history.missing("S1", newest, sentence, service)
    elif len(answers) > len(bodies) and all(one.at > begins_at for one in said):
        words = "; ".join(", ".join(f"{one} at {one.place}" for one in answer) for answer in answers)
        sentence = f"the {service} service answered {first} {len(answers)} times: {words}"
        yield history.violated("S1", sentence, first)
    repeats = len(same) - len(bodies)
    sentence = f"{first} came again {repeats} times, and {len(again)} times that was said"
    if len(again) > repeats and all(one.at > begins_at for one in said):
        yield history.violated("S1", sentence, first)
    elif len(again) < repeats and service != "timer":  # which knows repeats by their numbers, and drops them
        yield history.missing("S1", max(same, key=lambda one: one.at), sentence, service)


def _answers(said: Iterable[Observation]) -> list[list[Observation]]:
    """Each refusal is one; so is each run of other numbers. What outsiders could have written only fills a gap."""
    answers: list[list[Observation]] = []
    end = 0
    for one in said:
        goes_on = bool(answers) and one.sequence == end + 1 and _is_of(answers[-1], one)
        if one.trusted and goes_on and not any(".rejected." in part.type for part in (answers[-1][-1], one)):
            answers[-1].append(one)
        elif one.trusted:
            answers.append([one])
        elif not goes_on:
            continue
        end = one.sequence or 0
    return answers


def _is_of(answer: Sequence[Observation], one: Observation) -> bool:
    """Two actors may use the same id; what an answer says on its service's own topic says whose it was."""
    return one.topic != answer[0].topic or one.data.get("actor") == answer[0].data.get("actor")
