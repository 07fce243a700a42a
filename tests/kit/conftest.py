import pytest

from schemas.wire import Message
from tests.kit.counter_decider import WORDS


@pytest.fixture(autouse=True)
def counter_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, model in WORDS.items():
        monkeypatch.setitem(Message.MODELS, name, model)
