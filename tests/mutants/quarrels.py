"""Bugs of the services that run the quarrel: dispute and mediation."""

from schemas.mediation import commands as mediation_commands
from services import dispute, mediation
from services.dispute import cancelling, negotiating, returning, rulings, settling
from services.dispute import case as dispute_case
from services.dispute import domain as dispute_domain
from services.dispute import policy as dispute_policy
from services.mediation import case, deciding, offers, roster, seating
from services.mediation import policy as mediation_policy
from shared.rules import evidence, refusals, reminding
from tests.mutants.changes import change, drop, flip, negate
from tests.mutants.mutant import Mutant

MUTANTS = (
    # -- dispute -------------------------------------------------------------------------------------------------------
    Mutant("a superseded offer is accepted", lambda: dispute, drop("__.offer_id != __.offer_id")),
    Mutant(
        "a seller may offer more than can be claimed",
        lambda: negotiating.offer,
        change("__f(__a, __c.claimed_minor)", "__f(__a, sum(line.amount_minor for line in __c.lines))"),
    ),
    Mutant(
        "repeating a claim gives the seller his time anew",
        lambda: dispute,
        flip("__.refund_minor > __.claim.terms.refund_minor"),
    ),
    Mutant(
        "a rejected buyer must wait before he escalates",
        lambda: dispute,
        change("None if __a is None else min(__a, __)", "__a"),
    ),
    Mutant("escalating at the first instant is too early", lambda: negotiating.escalate, flip("__ < __")),
    Mutant(
        "a silent seller is judged where his silence should cost him, and the other way round",
        lambda: dispute,
        negate("__.seller_silence == 'escalate'"),
    ),
    Mutant("the last instant of a clock is too late", lambda: dispute_domain._too_late, flip("__ <= __")),
    Mutant(
        "anybody who says that he is the buyer is",
        lambda: refusals.who_may,
        drop("__ not in __"),
    ),
    Mutant(
        "evidence shown to a mediator who asked may be filed again as another",
        lambda: dispute,
        drop("DisputeEvidenceNoted(...)"),
    ),
    Mutant(
        "the protection that was extended does not reach the open disputes",
        lambda: dispute,
        drop("DisputableUntilMoved(...)"),
    ),
    Mutant(
        "a seller who answered is still counted silent",
        lambda: dispute,
        change("__f(_answer(__a), last_offer_id=__b, newest=__c)", "__f(__a, last_offer_id=__b, newest=__c)"),
    ),
    Mutant("a dispute that was decided can be reopened once it is cancelled", lambda: dispute, drop("not __.decided")),
    Mutant("cancelling at the last instant gives the lines away", lambda: dispute, flip("__ <= __.disputable_until")),
    Mutant(
        "two outputs are swapped: closed first, then given up",
        lambda: cancelling,
        change("[__a, closed(...)]", "[closed(...), __a]"),
    ),
    Mutant("lines may be disputed once more than the policy says", lambda: dispute, flip("__ < __.max_reopens")),
    Mutant(
        "a dispute over other pieces of a line is counted as an earlier one",
        lambda: cancelling,
        change("__a <= __b and __c <= __d", "True"),
    ),
    Mutant(
        "the verdict on appeal can be appealed",
        lambda: dispute_policy.appeal_until,
        change("None if __ or __a else __b", "None if __a else __b"),
    ),
    Mutant(
        "one party waives the appeal for both",
        lambda: rulings.waive,
        change("[__a, *__b] if __ else [__a]", "[__a, *__b]"),
    ),
    Mutant("what came back broken must be sent back again", lambda: dispute, drop("not __.return_contested")),
    Mutant(
        "a decision of an earlier round counts",
        lambda: dispute,
        change("case MediationDecided(round=__) | __a: ...", "case MediationDecided() | __a: ..."),
    ),
    Mutant("the twentieth file is one too many", lambda: evidence, flip("__ <= EVIDENCE_FILES_MAX")),
    Mutant("each report of delivery gives the seller his days anew", lambda: dispute, drop("not __.delivered")),
    Mutant(
        "a replacement that is never sent costs the seller nothing",
        lambda: returning.replacement_not_shipped,
        change("closed(__a, __b, __.refund_minor)", "closed(__a, __b, 0)"),
    ),
    Mutant(
        "only what was claimed of a line is released",
        lambda: settling,
        change("amount_minor(__a) - __b", "__a.claimed_minor - __b"),
    ),
    Mutant(
        "nothing happens if a replacement is never confirmed",
        lambda: dispute_case.RUNS,
        drop("ReplacementUnderway: __"),
    ),
    Mutant(
        "who can do nothing any more is reminded just before he has lost",
        lambda: dispute_domain.expire,
        change("__a if __b < __c.due_at else ()", "__a"),
    ),
    Mutant(
        "of one end that did not move he is reminded again",
        lambda: negotiating,
        change("__a if __b == __c else remind_at(__d, __b, __e)", "remind_at(__d, __b, __e)"),
    ),
    Mutant(
        "the other side is told that somebody's time runs out",
        lambda: reminding,
        change("(__a, 'mediator', 'operator')", "('buyer', 'seller', 'mediator', 'operator')"),
    ),
    # -- mediation -----------------------------------------------------------------------------------------------------
    Mutant("in mediation a superseded offer is accepted", lambda: offers.accept, drop("__.offer_id != __.offer_id")),
    Mutant(
        "an offer can be accepted after no thanks", lambda: mediation, change("None if __.declined else __a", "__a")
    ),
    Mutant(
        "no thanks is shown to the seller",
        lambda: mediation,
        change("('buyer', 'mediator', 'operator')", "('buyer', 'seller', 'mediator', 'operator')"),
    ),
    Mutant(
        "a new offer after no thanks is declined already",
        lambda: mediation,
        change("__f(..., solution=__a, declined=False)", "__f(..., solution=__a)"),
    ),
    Mutant(
        "the mediator's clock runs while he waits for an answer",
        lambda: case.due_unless_asked,
        change("None if __ else __a", "__a"),
    ),
    Mutant("answering at the last instant is too late", lambda: mediation, flip("__ > __.answer_by")),
    Mutant(
        "a question can be answered twice",
        lambda: mediation,
        change("(__q, __) not in __c.awaited", "__q not in __c.file.questions"),
    ),
    Mutant(
        "where both are silent only the seller's silence counts",
        lambda: mediation_policy.on_silence,
        change("'buyer' in __a", "'seller' not in __a"),
    ),
    Mutant(
        "a mediator may grant more than was claimed",
        lambda: deciding,
        change("__a.refund_minor > __.claimed_minor", "__a.refund_minor < 0"),
    ),
    Mutant(
        "an appeal that takes too long takes back what was decided",
        lambda: mediation,
        drop("if __.appeal: ..."),
    ),
    Mutant(
        "an appeal may go to who decided first",
        lambda: seating.appealed,
        change("_wanted(..., __.sat)", "_wanted(..., ())"),
    ),
    Mutant(
        "on appeal an operator may seat who decided first",
        lambda: mediation,
        drop("if __ and __m in __.sat_before: ..."),
    ),
    Mutant(
        "a late answer of the roster takes a seat that is taken",
        lambda: seating.given,
        drop("if __.mediator_id is not None: ..."),
    ),
    Mutant(
        "who speaks in the platform's name makes a mediator in the people's inbox",
        lambda: mediation_commands.AssignMediator,
        change("frozenset({'operator'})", "frozenset({'operator', 'platform'})"),
    ),
    Mutant(
        "the case of a mediator who did not act waits for nobody", lambda: seating.overdue, drop("_still_wanted(...)")
    ),
    Mutant("an operator may seat the seller", lambda: seating.assign, drop("if __ in __.parties: ...")),
    Mutant(
        "of what never came a mediator may ask the return",
        lambda: deciding.decide,
        drop("if __ and not __.received: ..."),
    ),
    Mutant("a closed round keeps its seat", lambda: seating.ended, drop("_taken(...)")),
    Mutant("a mediator gets one case more than he has room for", lambda: mediation, flip("__ < __.capacity")),
    Mutant(
        "cases go by the mediators' names, not by their load",
        lambda: roster._least_loaded,
        change("next(__a, None)", "min(__a, default=None)"),
    ),
    Mutant("of two rounds that wait the same mediator gets both", lambda: roster._taken, change("1", "0")),
    Mutant(
        "one round that nobody with room may have holds up all that wait behind it",
        lambda: roster._next,
        change("min(__, key=__, default=__first)", "__first"),
    ),
    Mutant("the roster is never kept, and grows for ever", lambda: roster._serve, drop("if __.since_kept >= __: ...")),
    Mutant(
        "who takes the roster over knows of nobody who waits",
        lambda: roster.restored,
        drop("for __ in __.waiting: ..."),
    ),
)
