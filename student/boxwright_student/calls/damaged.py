"""Recursive descent over JSON and Python literals that models damaged: what `literals` falls back on."""

from __future__ import annotations

import re
from typing import Any

from boxwright_student.calls.values import (
    DEEPEST,
    SPACE,
    Unreadable,
    Word,
    Work,
    add_member,
    decimal,
    left_open,
    whole,
)

_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:[eE][-+]?\d+)?(?=[\s,}\])/\\]|$)")
_WORD = re.compile(r"[A-Za-z_$][\w$.-]*")
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_CLOSERS = {
    '"': '"',
    "'": "'",
    "“": '”“"',
    "”": '”“"',
    "‘": "’‘'",
    "’": "’‘'",
}
_QUOTED_KEY = r"[\"'“”‘’][^\"'“”‘’\n{}]{1,80}[\"'“”‘’]\s*[:=]"
_NEXT_KEY = re.compile(rf"(?:{_QUOTED_KEY}|[A-Za-z_]\w*\s*[:=]|[}}\])]|$)")
_KEY_INSIDE = re.compile(_QUOTED_KEY)
_NEXT_ITEM = re.compile(r"[\"'“”‘’\d\-\[{(tfnTFN\])]|$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ENDS = {"object": "}]", "array": "])}", "keyword": ")", "call": ")"}
"""The brackets that may follow a string: in an object, a list, and a call's arguments with a name and without."""
_MARKS = ',:{}[]"'
_GEMMA_QUOTES = ('<|"|>', "<escape>")
"""Tokens that Gemma writes around a string instead of quotes; nothing inside is escaped."""


class Reader:
    """Recursive descent over damaged JSON and Python literals."""

    def __init__(self, text: str, work: Work) -> None:
        self.text, self.work = text, work
        self.notes: dict[str, None] = {}
        self.loose = False
        self._depth = 0

    def skip(self, at: int) -> int:
        """Return the place after white space and comments."""
        while True:
            start, at = at, _end(SPACE.match(self.text, at), at)
            self._note("line breaks as escapes" if "\\" in self.text[start:at] else "")
            if self.text.startswith(("//", "#"), at):
                at = self._after("\n", at, "")
            elif self.text.startswith("/*", at):
                at = self._after("*/", at, "a comment is not closed")
            else:
                return at
            self._note("comments left out")

    def value(self, at: int, inside: str = "") -> tuple[Any, int]:
        """Read a value; `inside` is a key of _ENDS: it says what may follow a string."""
        at = self.skip(at)
        self.work.charge(5)
        char = self.text[at : at + 1]
        if char == "{":
            return self._nested(self._object, at)
        if char and char in "[(":
            return self._nested(self._array, at)
        if char and char in _CLOSERS:
            return self._string_value(at, inside)
        if self.text.startswith(_GEMMA_QUOTES, at):
            return self._gemma_string(at)
        return self._atom(at)

    def call_arguments(self, at: int) -> tuple[list[Any], dict[str, Any], int]:
        """Read a Python call's arguments behind its opening bracket."""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        while True:
            at = self.skip(at)
            char = self.text[at : at + 1]
            if char == ")":
                return positional, named, at + 1
            if not char:
                self._note("closing brackets added")
                return positional, left_open(named, self.text), at
            if char == ",":
                at += 1
                continue
            at = self._call_argument(at, positional, named)

    def _call_argument(self, at: int, positional: list[Any], named: dict[str, Any]) -> int:
        keyword = re.compile(r"([A-Za-z_]\w*)\s*(?:=(?!=)|:)").match(self.text, at)
        spread = self.text.startswith("**", at)
        value, end = self.value(keyword.end() if keyword else at + 2 * spread, "keyword" if keyword else "call")
        if keyword:
            add_member(named, keyword.group(1), value)
        elif spread and isinstance(value, dict):
            for key, one in value.items():
                add_member(named, key, one)
        else:
            positional.append(value)
        end = self.skip(end)
        if self.text[end : end + 1] not in (",", ")", ""):
            raise Unreadable(f"an argument is no plain value near {self._near(end)}")
        return end

    def _nested(self, read: Any, at: int) -> tuple[Any, int]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable("it is nested too deep")
        found: tuple[Any, int] = read(at)
        self._depth -= 1
        return found

    def _object(self, at: int) -> tuple[dict[str, Any], int]:
        doubled = 0
        while self.text.startswith("{", self.skip(at + 1)):
            at, doubled = self.skip(at + 1), doubled + 1
            self.work.charge(5)
        if doubled:
            self._note("doubled brackets")
        members: dict[str, Any] = {}
        at, comma = at + 1, False
        while True:
            at = self.skip(at)
            char = self.text[at : at + 1]
            if char in ("}", "]", ")", ""):
                return self._end_object(members, at, char, comma, doubled)
            if char == ",":
                self._note("commas too many")
                at += 1
                continue
            at = self._member(members, at)
            comma = self.text.startswith(",", at)
            at += comma
            if not comma and self.text[at : at + 1] not in ("}", "]", ")", ""):
                self._note("commas missing")

    def _end_object(
        self, members: dict[str, Any], at: int, char: str, comma: bool, doubled: int
    ) -> tuple[dict[str, Any], int]:
        if comma and char:
            self._note("commas too many")
        if not char:
            if comma:
                raise Unreadable("it breaks off after a comma")
            self._note("closing brackets added")
            return left_open(members, self.text), at
        if char != "}":
            if comma:
                raise Unreadable(f"a bracket stands in a name's place near {self._near(at)}")
            self._note("closing brackets mended")
            return members, at
        at += 1
        for _ in range(doubled):
            if self.text.startswith("}", self.skip(at)):
                at = self.skip(at) + 1
        return members, at

    def _member(self, members: dict[str, Any], at: int) -> int:
        key, at = self._key(at)
        at = self.skip(at)
        if self.text[at : at + 1] not in (":", "="):
            raise Unreadable(f"a colon is missing near {self._near(at)}")
        if self.text.startswith(("=>", ":="), at):
            at += 1
        value, at = self.value(at + 1, "object")
        add_member(members, key, value)
        return self.skip(at)

    def _key(self, at: int) -> tuple[str, int]:
        if self.text[at] in _CLOSERS:
            return self._string(at, "key")
        word = _WORD.match(self.text, at)
        if not word:
            raise Unreadable(f"a name is missing near {self._near(at)}")
        self._note("names without quotes")
        return word.group(), word.end()

    def _array(self, at: int) -> tuple[Any, int]:
        opening, items = self.text[at], list[Any]()
        at, commas = at + 1, False
        while True:
            at = self.skip(at)
            char = self.text[at : at + 1]
            if not char:
                raise Unreadable("a list breaks off")
            if char in "])}":
                end = at + (char != "}")
                self._note("closing brackets mended" if char == "}" else "")
                lone = opening == "(" and len(items) == 1 and not commas
                return (items[0] if lone else items), end
            if items and not commas:
                raise Unreadable(f"a comma is missing near {self._near(at)}")
            value, at = self.value(at, "array")
            items.append(value)
            at = self.skip(at)
            commas = self.text.startswith(",", at)
            at += commas

    def _string_value(self, at: int, inside: str) -> tuple[Any, int]:
        opener = self.text[at + 1 : at + 2]
        if inside and opener and opener in "{[" and _KEY_INSIDE.match(self.text, self.skip(at + 2)):
            return self._unescaped_json(at, inside)
        return self._string(at, inside)

    def _gemma_string(self, at: int) -> tuple[str, int]:
        quote = next(one for one in _GEMMA_QUOTES if self.text.startswith(one, at))
        end = self._after(quote, at + len(quote), "a string is not closed")
        return self.text[at + len(quote) : end - len(quote)], end

    def _unescaped_json(self, at: int, inside: str) -> tuple[Any, int]:
        """Read `"{"a": 1}"`, where the quotes of JSON within a string were not escaped."""
        try:
            return self._string_strict(at, inside)
        except Unreadable:
            value, end = self.value(at + 1, inside)
        if self.text[end : end + 1] not in _CLOSERS:
            raise Unreadable(f"a string does not end near {self._near(end)}")
        self._note("JSON within quotes that were not escaped")
        return value, end + 1

    def _string_strict(self, at: int, inside: str) -> tuple[str, int]:
        loose = self.loose
        found = self._string(at, inside)
        if self.loose and not loose:
            self.loose = False
            raise Unreadable("a string holds quotes")
        return found

    def _string(self, at: int, inside: str) -> tuple[str, int]:
        opening = self.text[at]
        if self.text.startswith(opening * 3, at):
            end = self._after(opening * 3, at + 3, "a string is not closed") - 3
            return self._unescape(self.text[at + 3 : end]), end + 3
        closers = _CLOSERS[opening]
        self._note("other quotes than JSON's" if opening != '"' else "")
        place = at + 1
        inner: list[int] = []
        while True:
            place = self._next_of(closers, place)
            if self._closes(place + 1, inside):
                break
            if not self._is_apostrophe(place):
                self._check_inner(place, inside)
                inner.append(place)
            place += 1
        if inner:
            if len(inner) % 2 or inner[0] == at + 1 or inner[-1] == place - 1:
                raise Unreadable(f"a quote too many or too few near {self._near(inner[0])}")
            self.loose = True
            self._note("quotes within a string that were not escaped")
        content = self.text[at + 1 : place]
        self._note("line breaks within a string" if "\n" in content else "")
        return self._unescape(content), place + 1

    def _is_apostrophe(self, place: int) -> bool:
        around = self.text[place - 1].isalnum() and self.text[place + 1 : place + 2].isalpha()
        return around and self.text[place] in "'’‘"

    def _check_inner(self, place: int, inside: str) -> None:
        """Refuse a quote within a string that may as well be one of JSON's own, next to a mark that got lost.

        Raises:
            Unreadable: It may be either.
        """
        before = self.text[max(0, place - 20) : place].rstrip()[-1:]
        behind = self.text[place + 1 : place + 21].lstrip()[:1]
        beside_a_mark = (before and before in _MARKS) or (behind and behind in _MARKS)
        if inside in ("array", "key") or beside_a_mark or _KEY_INSIDE.match(self.text, place):
            raise Unreadable(f"a quote is missing or not escaped near {self._near(place)}")

    def _next_of(self, closers: str, place: int) -> int:
        """Return where the next unescaped quote is."""
        found = re.compile(rf"(?:[^\\{re.escape(closers)}]|\\.)*+", re.DOTALL).match(self.text, place)
        end = _end(found, place)
        self.work.charge(end - place + 1)
        if end >= len(self.text) or self.text[end] == "\\":
            raise Unreadable(f"a string is not closed: {self._near(place)}")
        return end

    def _closes(self, after: int, inside: str) -> bool:
        """Say whether a quote ends its string, judged by what follows it."""
        notes = dict(self.notes)
        after = self.skip(after)
        self.notes = notes
        self.work.charge(10)
        char = self.text[after : after + 1]
        if inside == "key":
            return char in (":", "=")
        if not char or not inside or char in _ENDS[inside]:
            return True
        if char == ",":
            following = self.skip(after + 1)
            item = inside in ("array", "call") and _NEXT_ITEM.match(self.text, following)
            return bool(item or (inside != "array" and _NEXT_KEY.match(self.text, following)))
        return inside == "object" and self.text[after - 1].isspace() and bool(_KEY_INSIDE.match(self.text, after))

    def _unescape(self, content: str) -> str:
        if "\\" not in content:
            return content
        kinds = {"hex" if len(found[1]) == 5 else found[1] for found in _ESCAPE.finditer(content)}
        unknown = kinds - {*"\"'\\/ntrbf", "hex"}
        if unknown and kinds & {*"ntrbf\n", "hex"}:
            raise Unreadable(f"a backslash may mean two things in {content[:60]!r}")
        if unknown or "'" in kinds:
            self._note("backslashes that begin no escape")
        if unknown == {"\n"}:
            raise Unreadable("a backslash at the end of a line may mean two things")
        text = _ESCAPE.sub(lambda match: _one_escape(match.group(1)), content)
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise Unreadable("half of a surrogate pair") from None

    def _atom(self, at: int) -> tuple[Any, int]:
        number = _NUMBER.match(self.text, at)
        if number:
            return self._number(number.group()), number.end()
        word = _WORD.match(self.text, at)
        if not word:
            raise Unreadable(f"a value is missing near {self._near(at)}" if at < len(self.text) else "it breaks off")
        name = word.group()
        if name in _CONSTANTS:
            self._note(f"{name} as JSON has it" if name[0].isupper() else "")
            return _CONSTANTS[name], word.end()
        return Word(name), word.end()

    def _number(self, written: str) -> int | float:
        plain = written.lstrip("+")
        try:
            return whole(plain) if re.fullmatch(r"-?\d+", plain) else decimal(plain)
        except Unreadable:
            raise
        except ValueError:
            raise Unreadable(f"a number too long: {written[:20]}…") from None

    def _after(self, closing: str, at: int, fault: str) -> int:
        """Return the place behind the next `closing`; without one, the end of the text or the fault."""
        end = self.text.find(closing, at)
        self.work.charge((end if end >= 0 else len(self.text)) - at + 1)
        if end < 0 and fault:
            raise Unreadable(fault)
        return end + len(closing) if end >= 0 else len(self.text)

    def _near(self, at: int) -> str:
        return repr(self.text[max(0, at - 15) : at + 25])

    def _note(self, what: str) -> None:
        if what:
            self.notes[what] = None


def _end(found: re.Match[str] | None, otherwise: int) -> int:
    return found.end() if found else otherwise


def _one_escape(escape: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape in "\"'\\/":
        return escape
    return _ESCAPED.get(escape, "\\" + escape)
