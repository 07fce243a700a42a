"""Records of a compacted topic: what is so by now under each key, or that it is erased.

Nothing of one that cannot be read is repeated, in no dead letter and no log: it may be an address.
"""

from pydantic import ValidationError

from schemas.wire import TopicEntry
from shared.kernel.envelope import DeadLetter, is_too_long, name_of, too_long, unnamed
from shared.kernel.ports import Home, Record


def current_entry(record: Record, model: type[TopicEntry], home: Home) -> TopicEntry | DeadLetter:
    """Headers mean nothing here."""
    key, value = name_of(record.key), record.value
    if key is None:
        return unnamed("key", record.key)
    if record.partition != (belongs := home(key.encode())):
        return DeadLetter(
            f"key_mismatch: it lies on partition {record.partition}, its key belongs on {belongs}: "
            "partitions are chosen by murmur2 (of librdkafka: partitioner=murmur2_random)"
        )
    if value and is_too_long(value):
        return DeadLetter(too_long(value))
    try:
        entry = model.model_validate_json(value) if value else model.erased(key)
    except ValidationError as error:
        return _unreadable(model, error)
    if entry.key != key:
        return DeadLetter("key_mismatch: the record's key is not the one that its value names")
    return entry


def _unreadable(model: type[TopicEntry], error: ValidationError) -> DeadLetter:
    """Says which of the fields that are known are wrong, and not how."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return DeadLetter("not_json: the value is no JSON, or not in UTF-8")
    names = {one["loc"][0] for one in found if one["loc"]}
    known = [name for name in model.model_fields if name in names]
    unknown = ["a field that nobody knows"] if names.difference(known) else []
    return DeadLetter(f"unreadable_entry: {', '.join([*known, *unknown]) or 'it is no JSON object'}")
