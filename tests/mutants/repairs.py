"""Bugs of who puts right what was lost."""

from deploy.repair import again, replay, standing, tail
from services.timer import projection as timers
from shared.kernel import stream
from tests.mutants.changes import change, drop
from tests.mutants.mutant import Mutant

REPLAY = ("tests/disaster/test_replay.py",)

AGAIN = ("tests/disaster/test_again.py",)

MUTANTS = (
    Mutant(
        "a log that was cut and written again is taken for the one that was read",
        lambda: again.cut,
        change("stamp is not None and stamp > __a.time", "False"),
        AGAIN,
    ),
    Mutant(
        "a log that has something is taken for whole",
        lambda: again.lacking,
        change("__a not in __b.get(__c, ())", "not __b.get(__c)"),
        AGAIN,
    ),
    Mutant(
        "what a log lacks is published behind what must follow it",
        lambda: again.in_front_of,
        change("__a > __b.number", "False"),
        AGAIN,
    ),
    Mutant(
        "what is decided again is not compared with what was said",
        lambda: tail.Said.is_what,
        change("return known and __", "return True"),
        REPLAY,
    ),
    Mutant(
        "an event that was published again is decided at the time at which it was appended again",
        lambda: tail.as_heard,
        drop("log.entries[entry.number] = __"),
        REPLAY,
    ),
    Mutant(
        "an order of which something else was said is decided on",
        lambda: stream.refold,
        drop("case Withheld(): raise __"),
        REPLAY,
    ),
    Mutant(
        "an alarm that was cancelled in a forgotten time rings",
        lambda: timers.Timers.apply,
        drop("__.cancelled.add(timer_id)"),
        ("tests/disaster/test_bells.py",),
    ),
    Mutant(
        "what was never published is taken for published",
        lambda: standing.Standing.commit,
        change("not self.outcome.unsent", "True"),
        REPLAY,
    ),
    Mutant(
        "a replay goes by times alone",
        lambda: replay.Replay._by_time,
        change("__l.behind[__n] <= __s", "True"),
        REPLAY,
    ),
)
