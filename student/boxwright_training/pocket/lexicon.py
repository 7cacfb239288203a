"""A compact lexicon cut from WordNet: the words that made-up tools are named, described and asked for with.

Built once (`python -m boxwright_training.pocket.lexicon --wordnet DIR --out FILE`); the file is a cache, not committed.
Source: WordNet 3.0 database files, https://wordnet.princeton.edu/documentation/wndb5wn; its licence allows this use.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from boxwright_training.pocket.rows import words_in

Split = Literal["train", "test"]

FORMAT = 1
TEST_SHARE = 15
"""Percent of the words, domains and wordings that only test episodes use."""
_FILES = {"n": "data.noun", "v": "data.verb", "a": "data.adj"}
_LEXFILES = words_in(
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body "
    "noun.cognition noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive "
    "noun.object noun.person noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation "
    "noun.shape noun.state noun.substance noun.time verb.body verb.change verb.cognition verb.communication "
    "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception "
    "verb.possession verb.social verb.stative verb.weather adj.ppl"
)
_SKIPPED = {
    "noun.person",
    "noun.plant",
    "noun.Tops",
    "noun.location",
    "noun.motive",
    "verb.weather",
    "adj.pert",
    "verb.consumption",
}
_UNFIT = re.compile(
    r"\b(slang|vulgar|obscene|offensive|[Oo]ffensive term|insulting|sexual|sex|slur|derogatory|genital|penis|excrement"
    r"|ethnic|[Jj]ews?|Christians?|Muslims?|Negro(id)?|Black person|homosexuals?|lesbians?|prostitutes?|rape|murder"
    r"|suicide|sodomy|contempt"
    r"|disparaging|racial|bestiality|naked|breasts?|buttocks|urin\w+|defecat\w+)\b"
)
_PLAIN = re.compile(r"[a-z]{3,12}(_[a-z]{3,9})?")
_TRANSITIVE = {8, 9, 10, 11}
"""Sentence frames of wninput(5WN) with a plain object."""


def split_of(text: str) -> Split:
    """Say to which split a word, domain or wording belongs, by its hash; the same everywhere, always."""
    return "test" if zlib.crc32(text.encode()) % 100 < TEST_SHARE else "train"


@dataclass(frozen=True)
class Sense:
    """A meaning: the words for it, its gloss, and WordNet's file for its kind (`noun.artifact`)."""

    words: tuple[str, ...]
    gloss: str
    file: str

    def within(self, split: Split) -> Sense | None:
        """Return this sense with the split's words only, or None where none is left."""
        words = tuple(word for word in self.words if split_of(word) == split)
        return Sense(words, self.gloss, self.file) if words else None


@dataclass(frozen=True)
class Words:
    """What one split may use."""

    nouns: tuple[Sense, ...]
    attributes: tuple[Sense, ...]
    """Nouns for what can be asked of a thing: its height, its colour."""
    verbs: tuple[Sense, ...]
    adjectives: tuple[Sense, ...]
    cities: tuple[str, ...]
    countries: tuple[str, ...]
    first_names: tuple[str, ...]
    surnames: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """The words of both splits; no word is in two."""

    train: Words
    test: Words

    def of(self, split: Split) -> Words:
        return self.train if split == "train" else self.test

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read a file that `build` made.

        Raises:
            ValueError: It is no lexicon of this format.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(
                f"{str(path)!r} is no lexicon of format {FORMAT}; make it again with {__name__} --out FILE"
            )
        return cls(_words(raw, "train"), _words(raw, "test"))


def _words(raw: Mapping[str, Any], split: Split) -> Words:
    def senses(key: str) -> tuple[Sense, ...]:
        found = (Sense(tuple(words.split()), gloss, file).within(split) for words, gloss, file in raw[key])
        return tuple(sense for sense in found if sense)

    def names(key: str) -> tuple[str, ...]:
        return tuple(name for name in raw[key] if split_of(name) == split)

    nouns = senses("nouns")
    return Words(
        nouns=tuple(sense for sense in nouns if sense.file != "noun.attribute"),
        attributes=tuple(sense for sense in nouns if sense.file == "noun.attribute"),
        verbs=senses("verbs"),
        adjectives=senses("adjectives"),
        cities=names("cities"),
        countries=names("countries"),
        first_names=names("first_names"),
        surnames=names("surnames"),
    )


@dataclass(frozen=True)
class _Synset:
    """One line of a data file."""

    words: tuple[str, ...]
    file: str
    gloss: str
    unfit: bool
    instance: bool
    frames: frozenset[int]
    key: tuple[str, int]


def _synsets(folder: Path, part: str) -> Iterator[_Synset]:
    with (folder / _FILES[part]).open(encoding="latin-1") as lines:
        for line in lines:
            if line.startswith("  "):
                continue  # the licence
            data, _, gloss = line.partition(" | ")
            fields = data.split()
            count = int(fields[3], 16)
            words = tuple(re.sub(r"\(\w+\)$", "", word) for word in fields[4 : 4 + 2 * count : 2])
            pointers = 5 + 2 * count + 4 * int(fields[4 + 2 * count])
            frames = frozenset(int(code) for code in fields[pointers + 2 :: 3]) if part == "v" else frozenset()
            file = _LEXFILES[int(fields[1])] if int(fields[1]) < len(_LEXFILES) else ""
            yield _Synset(
                words,
                file,
                _first_clause(gloss),
                bool(_UNFIT.search(gloss)),
                "@i" in fields,
                frames,
                (part, int(fields[0])),
            )


def _first_clause(gloss: str) -> str:
    text = re.sub(r"\([^)]*\)", "", gloss.split('; "')[0]).split(";")[0]
    return " ".join(text.split()).strip(" :,.")


def _ranks(folder: Path) -> dict[tuple[str, str, int], int]:
    """Return the place of each synset among its word's meanings, most frequent first: (part, word, offset) -> 0.."""
    ranks = {}
    for part, name in (("n", "index.noun"), ("v", "index.verb"), ("a", "index.adj")):
        for line in (folder / name).read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split()
            count = int(fields[2])
            for rank, offset in enumerate(fields[-count:]):
                ranks[part, fields[0], int(offset)] = rank
    return ranks


def build(folder: Path) -> dict[str, object]:
    """Cut the lexicon from the folder of a WordNet database.

    Raises:
        OSError: A file of the database cannot be read.
    """
    ranks = _ranks(folder)
    noun_synsets = list(_synsets(folder, "n"))
    kept = {
        "nouns": [_entry(synset, ranks, 1) for synset in noun_synsets if not synset.instance],
        "verbs": [_entry(synset, ranks, 2) for synset in _synsets(folder, "v") if synset.frames & _TRANSITIVE],
        "adjectives": [_entry(synset, ranks, 1) for synset in _synsets(folder, "a")],
    }
    lexicon: dict[str, object] = {key: [entry for entry in entries if entry] for key, entries in kept.items()}
    instances = [synset for synset in noun_synsets if synset.instance]
    return {"format": FORMAT, **lexicon, **_names(instances)}


def _entry(synset: _Synset, ranks: Mapping[tuple[str, str, int], int], most: int) -> list[str] | None:
    """Return a sense to keep: words for which it is a frequent meaning, its short gloss, its file."""
    part, offset = synset.key
    words = [
        word
        for word in synset.words
        if _PLAIN.fullmatch(word) and ranks.get((part, word, offset), 99) < most and (part != "v" or "_" not in word)
    ]
    unfit = synset.file in _SKIPPED or synset.unfit or not 8 <= len(synset.gloss) <= 90
    return None if unfit or not words else [" ".join(words[:4]), synset.gloss, synset.file]


def _names(instances: Sequence[_Synset]) -> dict[str, list[str]]:
    """Return proper names out of WordNet's instances: cities, countries, and the parts of people's names."""

    def collect(fits: Callable[[_Synset], object], cut: Callable[[str], str]) -> list[str]:
        found = (cut(word.replace("_", " ")) for synset in instances if fits(synset) for word in synset.words)
        return sorted({name for name in found if re.fullmatch(r"[A-Z][a-z]{2,}( [A-Z][a-z]{2,})?", name)})

    place = {"noun.location"}
    return {
        "cities": collect(
            lambda s: s.file in place and re.search(r"\b(city|town|capital|port)\b", s.gloss), lambda word: word
        ),
        "countries": collect(
            lambda s: s.file in place and re.match(r"an? (\w+ ){0,3}(republic|country|kingdom|nation)\b", s.gloss),
            lambda word: word,
        ),
        "first_names": collect(lambda s: s.file == "noun.person", lambda word: word.split()[0] if " " in word else ""),
        "surnames": collect(lambda s: s.file == "noun.person", lambda word: word.split()[-1]),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Build a lexicon from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, required=True, help="the folder with data.noun, index.noun, …")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args(arguments)
    lexicon = build(options.wordnet)
    options.out.write_text(json.dumps(lexicon, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
