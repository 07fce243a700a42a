"""Bugs of who is told what and when: notification, timer, and what the contract lets people see and say."""

import schemas
from schemas import instants, visibility, wire
from schemas import people as contact
from schemas.dispute import commands as dispute_commands
from services import notification, timer
from services.casefile.shown import told
from services.notification import app, domain, letters, network, people, projection, smtp, states, webhooks
from tests.mutants.changes import change, drop, flip, negate, words
from tests.mutants.mutant import Mutant

MUTANTS = (
    # -- notification --------------------------------------------------------------------------------------------------
    Mutant(
        "a message is sent to who wrote it",
        lambda: notification,
        change("'seller' if __a.by == 'buyer' else 'buyer'", "'buyer' if __a.by == 'buyer' else 'seller'"),
    ),
    Mutant(
        "people are told what is not for their eyes, if the table says so", lambda: notification, drop("may_see(...)")
    ),
    Mutant(
        "a seller is told that the platform's chargeback is late",
        lambda: notification,
        change("'chargeback': None", "'chargeback': 'seller'"),
    ),
    Mutant(
        "an attempt of a process that lost the order counts",
        lambda: notification,
        drop("__.attempt != __.attempts + 1"),
    ),
    Mutant(
        "a letter is tried once more than there are pauses for",
        lambda: notification,
        flip("__ >= (__ if __ else ATTEMPTS_MAX)"),
    ),
    Mutant(
        "buyer and seller are told under one delivery id",
        lambda: notification,
        change("f'{__a}|{__}|{__b}'", "f'{__a}|{__b}'"),
    ),
    Mutant(
        "webhooks carry everybody's addresses",
        lambda: notification,
        change("__a.model_dump(..., exclude=ADDRESSES)", "__a.model_dump(...)"),
    ),
    Mutant(
        "what was given at placing is used although people know better",
        lambda: people.addressed,
        drop("if __ is not None: ..."),
        ("tests/flows/test_people.py",),
    ),
    Mutant(
        "who is erased is looked for again and again",
        lambda: projection,
        change("NO_ADDRESS if __p is None else NOT_WRITTEN_TO", "NO_ADDRESS"),
        ("tests/flows/test_people.py",),
    ),
    Mutant(
        "what only the topic tells in the end waits in the queue for ever",
        lambda: projection._ended,
        drop("case NotificationSent(recipients=__): ..."),
    ),
    Mutant("a title may break the line of a subject", lambda: notification, change("' '.join(__a.split())", "__a")),
    Mutant(
        "somebody's second line poses as the platform's words",
        lambda: notification,
        change(
            r"'\n'.join(f'> {__f(__a).strip()}' for __a in __b.splitlines())",
            "f'> {__f(__b).strip()}'",
        ),
    ),
    Mutant("HTML that people typed is HTML in their letters", lambda: letters.Writer.__init__, words(".html", ".htm")),
    Mutant(
        "an address that only begins like one gets mail",
        lambda: notification,
        change("_LOCAL_PART.fullmatch(__a)", "_LOCAL_PART.match(__a)"),
    ),
    Mutant("a mail that a block list refuses is given up", lambda: smtp, words(r"1\.(1|3|6|10)\b", r"[17]\.")),
    Mutant(
        "an address beyond ASCII is somebody else's",
        lambda: smtp,
        change("idna.encode(__a, uts46=True)", "__a.encode('idna')"),
    ),
    Mutant(
        "a delivery that is begun anew has its first attempts again",
        lambda: notification,
        change("__o.queued.model_copy(...)", "__o.queued"),
    ),
    Mutant(
        "a mail that is sent again has another Message-ID",
        lambda: notification,
        change("__m['Message-ID'] = f'<{__a}@{__b}>'", "__m['Message-ID'] = f'<{__a}.{id(__m)}@{__b}>'"),
    ),
    Mutant(
        "one public address vouches for the private ones of a name",
        lambda: notification,
        change("all(map(is_public, __a))", "any(map(is_public, __a))"),
    ),
    Mutant(
        "what was never given out is taken for a machine out there",
        lambda: network.is_public,
        drop("__ in UNICAST"),
    ),
    Mutant(
        "what a tunnel leads to is not looked at",
        lambda: network,
        change("*(__.teredo or ())", "None"),
    ),
    Mutant(
        "a webhook's name is looked up a second time to connect to it",
        lambda: notification,
        change("__f(__[-1], ...)", "__f(host, ...)"),
    ),
    Mutant("an address of this machine written as IPv6 is public", lambda: network, drop("if __ in NAT64: ...")),
    Mutant(
        "a webhook's signature does not cover its id",
        lambda: notification,
        change("b'%s.%d.%s' % (__, __a, __b)", "b'%d.%s' % (__a, __b)"),
    ),
    Mutant(
        "who was told is said while others of the event are at their first attempt",
        lambda: states.Known.to_be_told,
        change("__.event not in __", "True"),
        ("tests/domain/test_notification_together.py",),
    ),
    Mutant(
        "a mailbox that is away for days keeps back who else was told",
        lambda: states.PendingDelivery.is_awaited,
        drop("__.attempts == __.attempts"),
        ("tests/domain/test_notification_together.py",),
    ),
    Mutant(
        "a letter that is held back keeps back who else was told",
        lambda: states.PendingDelivery.is_awaited,
        drop("not is_held_back"),
        ("tests/domain/test_notification_together.py",),
    ),
    Mutant(
        "two events of one kind and moment are told by one record",
        lambda: states.event_key,
        change("__.event_id", "''"),
        ("tests/domain/test_notification_together.py",),
    ),
    Mutant(
        "what a server has taken waits for another attempt",
        lambda: states.evolve,
        drop("case Known(pending=__, taken=__), Taken(told=__) if __: ..."),
        ("tests/domain/test_notification_together.py",),
    ),
    Mutant(
        "who was told is shown by what the others were",
        lambda: visibility.told_to,
        change("__a in (__.role, 'operator')", "True"),
        ("tests/domain/test_visibility.py",),
    ),
    Mutant(
        "a mediator is shown what another was told who sat there before",
        lambda: told._is_his,
        change("__a.id in __", "True"),
        ("tests/casefile/test_showing.py",),
    ),
    Mutant("an endpoint that is not there today is given up", lambda: webhooks, change("__a == GONE", "__a >= 404")),
    Mutant(
        "two events of one content and instant share a letter",
        lambda: notification,
        change("f'{__h.id}|{__a}|{__b}'", "f'{__h.event.model_dump_json()}|{__a}|{__b}'"),
    ),
    Mutant(
        "people have webhooks of their own where the installation has no secret for them",
        lambda: app,
        change("bool(__a.person_webhook_secrets)", "True"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "all endpoints of a person share one delivery id",
        lambda: domain.own_delivery_id,
        change("f'{__a}|{__b}'", "__a"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "an endpoint of somebody's own is told what is not for his eyes",
        lambda: domain._seen,
        change("view(__a, __b).data", "__a.model_dump(mode='json')"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "a webhook of somebody's own waits with the address that was given at placing",
        lambda: domain._seen,
        change("__s | __f", "__s"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "of an endpoint that is gone operators are told",
        lambda: domain._outcome,
        change("not isinstance(__q, Queued)", "isinstance(__q, LookupQueued)"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "what ended before a database was put back is told again",
        lambda: domain._outcome,
        change("__a.delivery_id not in __b.ended_before", "True"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "a resend to one endpoint of a person's goes to all of them",
        lambda: domain._asked_for,
        change("__a.endpoint_id == __b.endpoint", "True"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "an endpoint of somebody's own that hangs holds up all others",
        lambda: projection,
        drop("__.busy.add(__)"),
        (
            "tests/contract/test_deliveries.py::test_an_endpoint_of_somebodys_own_that_hangs_delays_itself_alone[memory]",
        ),
    ),
    Mutant(
        "what was left out for an endpoint that was spoken to is never looked for again",
        lambda: projection.Deliveries._begin,
        change("__d.endpoint or __a", "__a"),
        (
            "tests/contract/test_deliveries.py::test_an_endpoint_of_somebodys_own_that_hangs_delays_itself_alone[memory]",
        ),
    ),
    Mutant(
        "all endpoints of a person are signed to by one secret",
        lambda: webhooks.own_secret,
        change("f'{__a}\\n{__b}'", "__a"),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    Mutant(
        "names of people's own endpoints are looked up where all others are",
        lambda: webhooks,
        change("_pool(__a, __b, TAKEN_MAX, ...)", "_pool(__a, __b, TAKEN_MAX)"),
        ("tests/kit/test_webhooks.py",),
    ),
    Mutant(
        "an endpoint may be there twice",
        lambda: contact._once_each,
        drop("if __: ..."),
        ("tests/domain/test_notification_own_webhooks.py",),
    ),
    # -- timer ---------------------------------------------------------------------------------------------------------
    Mutant(
        "a timer rings at the very instant, when nothing has passed yet",
        lambda: timer,
        change("__b + 1 if __c.fired_ahead else __a.fire_at", "__b + 1 if __c.fired_ahead else __a.due_at"),
    ),
    Mutant(
        "a timer that is set again in the batch that cancelled it is gone",
        lambda: timer,
        drop("__.cancelled.discard(__)"),
    ),
    Mutant("a timer that is cancelled in the batch that set it rings", lambda: timer, drop("__.armed.pop(__, None)")),
    Mutant(
        "timers beyond the first page are forgotten",
        lambda: timer,
        change(
            "__p = await __t.page(...)\n__a.covered = __ if __ else END", "__p = await __t.page(...)\n__a.covered = END"
        ),
    ),
    Mutant(
        "a timer that was moved later holds up those behind its old place",
        lambda: timer,
        drop("__a.fire_at == __b.fire_at"),
    ),
    Mutant(
        "a timer that has waited with its order is looked for among those that are handed out",
        lambda: timer,
        drop("not __.waited"),
    ),
    Mutant("a clock that is ahead rings every second for ever", lambda: timer, change("min(2 * __, __)", "PAUSE")),
    Mutant(
        "once a clock was ahead all that is set rings as late",
        lambda: timer,
        drop("if __.fired_ahead: ..."),
    ),
    Mutant(
        "a schedule that was refused arms a timer all the same",
        lambda: timer,
        change("(__a, __b.id, __b.digest) in __", "False"),
    ),
    Mutant("anybody may set a timer", lambda: timer, drop("if __ := who_may(...): ...")),
    Mutant(
        "an alarm that is asked for again after it rang has the id of its first ring",
        lambda: timer,
        change("f'{__a.timer_id}@{__a.__}/{__}'", "f'{__a.timer_id}@{__a.due_at}'"),
    ),
    Mutant("a clock that is ahead rings in a loop", lambda: timer, change("max(__a, __b, __)", "max(__a, __b)")),
    # -- the contract --------------------------------------------------------------------------------------------------
    Mutant(
        "an instant is asked for its year in its own zone",
        lambda: schemas,
        change("__a = __a.astimezone(UTC)", "__a.astimezone(UTC)"),
    ),
    Mutant(
        "a refusal is shown to everybody",
        lambda: visibility.may_see,
        change("__a is not None and __a.role == __", "__a is not None"),
    ),
    Mutant(
        "each party sees the other's address",
        lambda: schemas,
        change("__a is not None and __a == __", "__a in PARTIES"),
    ),
    Mutant("who is asked is told that the other one is", lambda: schemas, negate("__ == f'waiting_{__}'")),
    Mutant(
        "terms may refund something and be called none",
        lambda: schemas,
        drop("__.kind == 'none' and __.refund_minor > 0"),
    ),
    Mutant(
        "what is no field of a command is overlooked", lambda: wire.Shape.model_config, change("'forbid'", "'ignore'")
    ),
    Mutant("instants are exact to the microsecond", lambda: instants, change("__a.replace(microsecond=__)", "__a")),
    Mutant(
        "a seller may cancel the buyer's dispute",
        lambda: dispute_commands.CancelDispute.by,
        change("{'buyer'}", "{'buyer', 'seller'}"),
    ),
    Mutant(
        "the broker believes whoever writes what time it is",
        lambda: schemas,
        change("'message.timestamp.type': 'LogAppendTime'", "'message.timestamp.type': 'CreateTime'"),
    ),
    Mutant(
        "events are forgotten after four weeks",
        lambda: schemas,
        change("common | {'retention.ms': '-1'}", "common | {'retention.ms': str(4 * _WEEK_MS)}"),
    ),
)
