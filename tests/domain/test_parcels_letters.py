"""What people are written of parcels (R66): what is in one, what follows, what does not, and which one is meant."""

import re

import pytest

from services.notification.letters import letter
from tests.domain.notification_samples import SAMPLES
from tests.domain.test_notification_letters import letters, queued_for

pytestmark = [pytest.mark.rule("R66"), pytest.mark.rule("R79")]

TOLD = [
    ("order.shipped[part]", "buyer", "en", "a parcel is on its way|- 1 × bulbs|follows in other parcels until 9 March"),
    ("order.shipped[part]", "seller", "en", "- 1 × bulbs|Ship the rest by 9 March"),
    ("order.shipped[last]", "buyer", "en", "- 2 × bulbs|everything is shipped that was still to come"),
    ("order.shipped[part]", "buyer", "de", "ein Paket ist unterwegs|- 1 × bulbs|Der Rest folgt bis zum 9. März"),
    ("order.shipped[part]", "seller", "de", "- 1 × bulbs|Versenden Sie den Rest bis zum 9. März"),
    ("order.shipped[last]", "seller", "de", "- 2 × bulbs|alles versandt, was noch ausstand"),
    ("order.lines_cancelled[not_shipped]", "buyer", "en", "was not shipped in time|- bulbs: 5.00 EUR|stays as it was"),
    ("order.lines_cancelled[not_shipped]", "seller", "en", "Do not ship these any more"),
    ("order.lines_cancelled[not_shipped]", "buyer", "de", "nicht rechtzeitig versandt|- bulbs: 5,00 EUR"),
    ("order.lines_cancelled[not_shipped]", "seller", "de", "Versenden Sie diesen Teil nicht mehr"),
    ("order.tracking_reported[failed_of_two]", "buyer", "en", "the parcel box-2 is not deliverable|one of 2 so far"),
    ("order.tracking_reported[delivered_of_two]", "buyer", "en", "If all that was shipped has come and is well"),
    ("order.tracking_reported[failed_of_two]", "seller", "de", "Das Paket box-2 ist nicht zustellbar|bisher 2 Paketen"),
    ("order.tracking_reported[delivered_of_two]", "buyer", "de", "Wenn alles, was versandt wurde, angekommen und in"),
    ("order.tracking_corrected[one_of_two]", "buyer", "en", "how your parcel box-2 travels"),
    ("order.tracking_corrected[one_of_two]", "buyer", "de", "zu Ihrem Paket box-2 berichtigt"),
    ("order.reminded[rest]", "seller", "en", "that part is then cancelled, and 5.00 EUR|What you have shipped stays"),
    ("order.reminded[rest]", "seller", "de", "wird dieser Teil dann storniert, und 5,00 EUR"),
    ("order.processing_extended[rest]", "buyer", "en", "What is not shipped by then is cancelled"),
    ("order.processing_extended[rest]", "buyer", "de", "Was bis dahin nicht versandt ist, wird storniert"),
    ("order.receipt_confirmed[part]", "buyer", "en", "received what was shipped|it is shipped by 9 March"),
    ("order.receipt_confirmed[part]", "seller", "de", "Versenden Sie den Rest bis zum 9. März"),
]


@pytest.mark.parametrize(("name", "role", "language", "sentences"), TOLD)
def test_letters_tell_of_parcels(name: str, role: str, language: str, sentences: str) -> None:
    written = letters(SAMPLES[name], language)[role]

    for sentence in sentences.split("|"):
        assert sentence in f"{written.subject}\n{written.text}"


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    "name", ["order.shipped", "order.tracking_corrected", "order.tracking_reported[failed]", "order.receipt_confirmed"]
)
def test_of_one_parcel_with_all_of_it_nothing_is_told_of_parts(name: str, language: str) -> None:
    for written in letters(SAMPLES[name], language).values():
        assert not re.search(
            r"the rest|Rest|parcel 1|Paket 1|In this parcel|In diesem Paket| so far|bisher", written.text
        )


@pytest.mark.parametrize("name", ["order.shipped", "order.tracking_reported[failed]", "order.receipt_confirmed"])
def test_a_letter_that_was_queued_before_there_were_parcels_is_written(name: str) -> None:
    later = {"parcel_id", "parcels", "lines", "rest_ships_by"}
    for queued in queued_for(SAMPLES[name]).values():
        facts = {fact: said for fact, said in queued.facts.items() if fact not in later}

        assert letter(queued.model_copy(update={"facts": facts})) == letter(queued)
