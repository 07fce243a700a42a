"""What the parties show and say to each other (R24, R58, R72)."""

from collections.abc import Sequence
from datetime import datetime

from schemas.common import Evidence
from schemas.dispute.commands import AddEvidence
from schemas.dispute.events import EvidenceAdded, MessageSent
from schemas.dispute.shapes import Side
from schemas.instants import rfc3339
from schemas.policy import Policy
from services.dispute.case import Case, FiledInStage, InMediation, Opened, stage
from shared.kernel.decider import Output, Refusal
from shared.rules.calendar import after
from shared.rules.evidence import too_many_files


def too_much(filed: Sequence[FiledInStage], by: Side, stage: str, evidence: Sequence[Evidence]) -> Refusal | None:
    shown = sum(one.by == by and one.stage == stage for one in filed)
    return too_many_files(shown, evidence)


def message(case: Case, by: Side, text: str, now: datetime, policy: Policy) -> list[Output]:
    """A party's day begins with its first message and is as long as the policy's `day` (R72)."""
    most = policy.messages_per_day
    if most is None:
        return [MessageSent(dispute_id=case.dispute_id, by=by, text=text)]
    began, sent = case.written.get(by, (now, 0))
    ends = after(began, policy.day, policy)
    if now >= ends:
        began, sent = now, 0
    if sent >= most:
        details = {"available_at": rfc3339(ends)}
        return [Refusal("limit_exceeded", f"You have sent {most} messages in a day; that is all for now.", details)]
    return [MessageSent(dispute_id=case.dispute_id, by=by, text=text, day_began_at=began, number_of_day=sent + 1)]


def add(dispute: Opened, command: AddEvidence, by: Side, policy: Policy) -> list[Output]:
    """In mediation nobody asked here for it: the mediator's questions are answered there."""
    unsolicited = isinstance(dispute, InMediation)
    if unsolicited and policy.unsolicited_evidence == "refuse":
        return [Refusal("wrong_state", "In mediation evidence is shown only when the mediator asks for it.")]
    if refusal := too_much(dispute.case.filed, by, stage(dispute), command.evidence):
        return [refusal]
    return [
        EvidenceAdded(
            dispute_id=command.dispute_id,
            by=by,
            evidence=command.evidence,
            unsolicited=unsolicited,
        )
    ]
