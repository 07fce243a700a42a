"""A file is never changed, only superseded, and only by who showed it, wherever it is shown (R58)."""

from collections.abc import Mapping, Sequence

from schemas.common import EVIDENCE_FILES_MAX, Evidence
from schemas.dispute.shapes import Side
from shared.kernel.decider import Refusal
from shared.rules.refusals import first


def reject_evidence(owners: Mapping[str, Side], by: Side, evidence: Sequence[Evidence]) -> Refusal | None:
    """`owners`: who showed which file of the dispute so far, by evidence id. Of all files the first refusal by code."""
    owners = dict(owners)
    reasons: list[Refusal] = []
    for one in evidence:
        if one.supersedes is not None and one.supersedes not in owners:
            reasons.append(Refusal("not_found", f"There is no evidence {one.supersedes} to supersede."))
        elif one.supersedes is not None and owners[one.supersedes] != by:
            reasons.append(Refusal("not_allowed", f"Evidence {one.supersedes} is the other party's."))
        if one.evidence_id in owners:
            reasons.append(
                Refusal("already_exists", f"Evidence {one.evidence_id} was filed before and cannot be changed.")
            )
        owners.setdefault(one.evidence_id, by)
    return first(*reasons)


def too_many_files(shown: int, evidence: Sequence[Evidence]) -> Refusal | None:
    """`shown`: how many the same party has in this stage already."""
    if shown + len(evidence) <= EVIDENCE_FILES_MAX:
        return None
    return Refusal("limit_exceeded", f"Each party may show {EVIDENCE_FILES_MAX} files in one stage.")
