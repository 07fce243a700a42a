"""The language in which bugs are written down, and what it says when the code has moved on."""

from pathlib import Path
from textwrap import dedent

import pytest

from shared import rules
from shared.rules import calendar
from tests.mutants.changes import Change, Words, change, drop, flip, negate, words
from tests.mutants.mutant import Mutant, Rotten
from tests.mutants.places import Reference

FILE = "shared/rules/calendar.py"


def _patched(
    folder: Path, code: str, what: Change | Words, at: Reference = lambda: calendar.after_business_days
) -> str:
    file = folder / FILE
    file.parent.mkdir(parents=True)
    file.write_text(dedent(code))
    return Mutant("it is late", at, what).patched(folder)[1]


@pytest.mark.parametrize(
    ("code", "what", "broken"),
    [
        ("return a.due_at <= b", flip("__.due_at <= __"), "return a.due_at < b"),
        ("return not all(a)", negate("not all(__)"), "return all(a)"),
        ("return a(b) and b", negate("__(b)"), "return not a(b) and b"),
        ("return 'x' in a", negate("'__' in __"), "return 'x' not in a"),
        ("return max(a, b.c)", change("max(__, __a.c)", "__a"), "return b"),
        ("return (a, b)", change("(__a, __b)", "(__b, __a)"), "return (b, a)"),
        ("return (a, a) or (a, b)", change("(__a, __a)", "__a"), "return a or (a, b)"),
        ("return f'{a}|{b}|'", change("f'{__}|{__b}|'", "f'{__b}'"), "return f'{b}'"),
        ("a(b, c=1, d=2)", change("a(..., d=2, c=__c)", "a(..., d=__c)"), "a(b, d=1)"),
        ("a(b)\nc()\nreturn b", change("a(__)\n...\nreturn __b", "return __b\n..."), "return b\nc()"),
        ("if a.own:\n    b()\n    b(a)", change("if __.own: ...", "..."), "b()\nb(a)"),
        ("b[a] = c", change("__[a] = __", "raise"), "raise"),
        ("a.b(c)", drop("__.b(__)"), "pass"),
        ("if a:\n    b()\nelif b:\n    a()", drop("if __: a()"), "if a:\n    b()"),
        ("if a:\n    b()\nelse:\n    a()", drop("if a: ..."), "a()"),
        ("return a and b and a(b)", drop("a(__)"), "return a and b"),
        ("return a or b", drop("b"), "return a"),
        ("return {a, b}", drop("b"), "return {a}"),
        ("return [a for a in b if a]", change("[__x for __x in __b if __x]", "list(__b)"), "return list(b)"),
        ("return {'a': a, 'b': b, **c}", drop("'b': __"), "return {'a': a, **c}"),
        ("return {a: a, 'b': b}", change("a: __a", "a: None"), "return {a: None, 'b': b}"),
        (
            "match a:\n    case int():\n        b()\n    case str(b=c) if c:\n        a()",
            drop("case str(b=__) if __: ..."),
            "match a:\n    case int():\n        b()",
        ),
        (
            "match a:\n    case int() if b:\n        b()",
            change("case int() if __: ...", "case int(): ..."),
            "match a:\n    case int():\n        b()",
        ),
        (
            "try:\n    a()\nexcept KeyError as b:\n    b()\nexcept ValueError:\n    b()",
            drop("except KeyError as __: ..."),
            "try:\n    a()\nexcept ValueError:\n    b()",
        ),
        ("return '''a  >\n  b'''", words("a > b", "a < b"), "return 'a < b'"),
    ],
)
def test_a_change_is_made(tmp_path: Path, code: str, what: Change | Words, broken: str) -> None:
    def function(body: str) -> str:
        return "def after_business_days(a, b, c):\n" + "".join(f"    {line}\n" for line in body.split("\n"))

    assert _patched(tmp_path, function(code), what) == function(broken)


def test_what_is_around_the_place_stays_as_it_is(tmp_path: Path) -> None:
    code = """
        A = {1,  2}  # a comment
        class Workdays:
            @staticmethod
            def first(a):
                '''Two
                lines.'''
                return f'''{a}
              {a}''' if a < 1   else 2

            B   = 3
        """
    broken = _patched(tmp_path, code, flip("__ < 1"), lambda: calendar)
    before, after = dedent(code).split("\n"), broken.split("\n")
    assert (after[:5], after[-3:]) == (before[:5], before[-3:])
    assert eval(broken.partition("return ")[2].partition("\n\n")[0], {"a": 1}) == "1\n      1"


@pytest.mark.parametrize(
    ("code", "what", "why"),
    [
        ("def after(a): return a < 1", flip("__ < 1"), r"no after_business_days any more; .* fits .*\(after\)"),
        ("def after_business_days(a): ...\ndef after(a): a < 1", flip("__ < 1"), r"nothing like it .*\(after\)"),
        ("def after_business_days(a): ...", flip("__.tardy < Late"), "fits nowhere, and nobody knows Late, tardy"),
        ("def after_business_days(a): return a < 1 < a < 1", drop("a"), "fits 2 times"),
        ("def after_business_days(a): return a.b", change("__a.b", "Late(__a)"), "nobody knows any more: Late"),
        ("def after_business_days(a): return a.b", change("__a.b", "__a.tardy"), "nobody knows any more: tardy"),
        ("def after_business_days(a): return a.b", change("__a.b", "__a.b"), "changes nothing"),
        ("def after_business_days(a): return a + 1", flip("a + 1"), "no comparison of that kind"),
        ("def after_business_days(a): return a + 1", drop("1"), "only a statement"),
        ("def after_business_days(a): return a", change("return a", "continue"), "it is no Python then"),
        ("def after_business_days(a): return ' a'", words("b", ""), "nothing like it"),
    ],
)
def test_a_mutant_that_does_not_fit_says_so_and_where_to_look(
    tmp_path: Path, code: str, what: Change | Words, why: str
) -> None:
    with pytest.raises(Rotten, match=f"^“it is late” does not fit {FILE} any more: .*{why}"):
        _patched(tmp_path, code, what)


def test_in_a_package_code_may_move(tmp_path: Path) -> None:
    (tmp_path / "shared/rules").mkdir(parents=True)
    (tmp_path / "shared/rules/another.py").write_text("def after(a):\n    return a < 1\n")
    (tmp_path / "shared/other.py").write_text("def after(a):\n    return a < 1\n")
    late = Mutant("it is late", lambda: rules, flip("__ < 1"))
    assert late.patched(tmp_path) == ("shared/rules/another.py", "def after(a):\n    return a <= 1\n")


def test_words_of_a_file_that_is_no_python_stand_there_once(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("a   b\n\na c")
    assert Mutant("it is late", "a.sql", words("a b a", "a")).patched(tmp_path) == ("a.sql", "a c")
    with pytest.raises(Rotten, match="2 times, not once"):
        Mutant("it is late", "a.sql", words("a", "b")).patched(tmp_path)
    with pytest.raises(Rotten, match="there is no such file"):
        Mutant("it is late", "b.sql", words("a", "b")).patched(tmp_path)
