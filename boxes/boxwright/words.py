"""Words as search sees them: names taken apart, spellings made one, the words of polite asking left out.

Stemming is not done here but by SQLite's porter tokenizer. Nothing here is fitted to one catalogue of tools: the lists
hold common words of English and of programming alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Written without spaces between words: kana, Han, Hangul, Thai, Lao, Burmese, Khmer. These go in as pairs of letters.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
# The parts of `getHTMLPage2`: get, HTML, Page, 2.
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ENCODED = re.compile(r"[A-Za-z0-9+/=]{50,}")
"""Base64 and the like: long, and no words."""

_MOST_PARTS = 5
"""A name of more parts than this is an identifier of no meaning."""

_LONGEST_QUERY = 8_000
"""Characters of a query that are read: its first half and its last, since a question may follow what it is about."""

_MOST_PHRASES = 48
"""Words of a query that are looked for; again the first ones and the last ones."""

_FILLER = """
    a about above after again against ain all also am an and any anyone anything are aren as at be because been before
    being below between both but by can cannot could couldn d did didn do does doesn doing don down during each either
    else ever every few for from further had hadn has hasn have haven having he her here hers herself him himself his
    how however i if in into is isn it its itself just kindly let ll m may maybe me might mine more most must my myself
    need needs no nor not now of off ok on once only or other our ours ourselves out over own perhaps please quite
    rather re really s same shall shan she should shouldn so some somebody someone something such sure t than thank
    thanks that the their theirs them themselves then there these they this those though through thus to too under
    until up upon us ve very want wants was wasn we were weren what whatever when where whether which while who whom
    whose why will with within without won would wouldn yes yet you your yours yourself yourselves
    able based give given going good got help know like look looking okay one say see tell think try use using way well
    com http https www
"""
"""Words that say how one asks, not what for."""

_STOP_WORDS = frozenset(_FILLER.split())

_SAME = """
    application app
    begin start
    calculate compute
    change modify alter
    configuration config
    create generate make
    delete remove erase
    directory folder dir
    document doc docx
    excel xlsx xls
    film movie
    find search
    get fetch retrieve obtain
    headline news
    image picture photo photograph img pic
    information info
    powerpoint ppt pptx
    price cost
    repository repo
    show display
    write save
"""
"""Words that name the same thing in the names of tools: every word of a line counts as its first. (`news` also has to
be kept apart from `new`, which is its stem.)"""


def _forms(word: str) -> Iterator[str]:
    """Yield a word and its plural, but not "generated" or "saved": these speak of things, "generate" and "save" ask."""
    yield from (word, word + "s", word + "es")
    if word.endswith("y"):
        yield word[:-1] + "ies"


_FIRST_OF = {
    form: line.split()[0] for line in _SAME.strip().splitlines() for word in line.split()[1:] for form in _forms(word)
}


def index_text(text: str) -> str:
    """Return the words of a text for the index, with blanks between: parts of names, and the names as wholes too."""
    return " ".join(word for unit in _units(text) for word in (unit if len(unit) == 1 else (*unit, "".join(unit))))


def query_phrases(text: str) -> list[str]:
    """Return what to look for, in the order of the text, once each; blanks are left inside a name's parts."""
    half = _LONGEST_QUERY // 2
    shown = text if len(text) <= _LONGEST_QUERY else f"{text[:half]} {text[-half:]}"
    units = (unit for unit in _units(_ENCODED.sub(" ", shown)) if len(unit) <= _MOST_PARTS and not _is_filler(unit))
    phrases = list(dict.fromkeys(" ".join(unit) for unit in units))
    half = _MOST_PHRASES // 2
    return phrases if len(phrases) <= _MOST_PHRASES else phrases[:half] + phrases[-half:]


def _is_filler(unit: tuple[str, ...]) -> bool:
    return len(unit) == 1 and (unit[0] in _STOP_WORDS or (len(unit[0]) == 1 and "a" <= unit[0] <= "z"))


def _units(text: str) -> Iterator[tuple[str, ...]]:
    for run in _RUN.findall(unicodedata.normalize("NFKC", text)):
        if _IS_UNSPACED.match(run):
            yield from ((run[start : start + 2],) for start in range(max(1, len(run) - 1)))
        else:
            yield _parts(run)


@lru_cache(maxsize=65_536)
def _parts(run: str) -> tuple[str, ...]:
    """Return the parts of a name in lower case, each under the spelling it counts as."""
    parts = _PART.findall(run) if run.isascii() else [run]
    return tuple(_FIRST_OF.get(part, part) for part in map(str.casefold, parts))
