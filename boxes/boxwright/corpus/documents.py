"""The documents of a folder, and of every file that is none the reason why. Nothing is left out without being named."""

from __future__ import annotations

import codecs
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright.corpus.texts import Text, declared_charset, html_text, markdown_text, rst_text
from boxwright.errors import BadInput
from boxwright.jsontypes import digest, digest_bytes

LARGEST_FILE = 32_000_000
"""In bytes; the text and its index have to fit into one file of a box."""
LONGEST_TITLE = 150
_KINDS: dict[str, Callable[[str], Text]] = {
    ".txt": lambda source: Text("", source),
    ".md": markdown_text,
    ".markdown": markdown_text,
    ".rst": rst_text,
    ".html": html_text,
    ".htm": html_text,
}
_ROWS = ".jsonl"
READ = ".txt, .md, .rst, .html and .jsonl"
_UNREAD = f"of no kind that is read here ({READ})"
_PDF = "PDF is not read here; convert it with: pdftotext FILE.pdf FILE.txt"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True)
class Document:
    """One text and its title, which no other document of a corpus has."""

    title: str
    text: str
    source: str
    """The file it is from, and the line where that has many."""


@dataclass(frozen=True)
class Skipped:
    """A file, or a line of one, that is no document."""

    source: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """What a folder holds."""

    documents: tuple[Document, ...]
    """In the order of their files' names."""
    skipped: tuple[Skipped, ...]
    renamed: int
    """Documents whose title another one has too: their source stands behind it."""
    files: int
    """Files that documents were taken from."""
    digest: str
    """Over paths and hashes of those files."""

    def told(self, most: int = 20) -> list[str]:
        """Return in lines what was taken and what was not, by reason; of one reason `most` are named."""
        lines = [f"took {_count(len(self.documents), 'document')} from {_count(self.files, 'file')}"]
        if self.renamed:
            lines.append(f"{_count(self.renamed, 'document')} share a title with another; their file is behind it now")
        for reason in dict.fromkeys(one.reason for one in self.skipped):
            sources = [one.source for one in self.skipped if one.reason == reason]
            more = f" and {len(sources) - most} more" if len(sources) > most else ""
            lines.append(f"skipped {len(sources)}, {reason}: {', '.join(sources[:most])}{more}")
        return lines


def read_folder(folder: Path) -> Corpus:
    """Read the documents of a folder and of the folders below it.

    Raises:
        BadInput: There is no such folder, or no document in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is no folder; name one that holds {READ} files")
    skipped: list[Skipped] = []
    drafts: list[Document] = []
    hashes: list[list[str]] = []
    for source, path in sorted(_files(folder, skipped)):
        content = _content(source, path, skipped)
        if content is None:
            continue
        found = list(_documents(source, content, skipped))
        if found:
            hashes.append([source, digest_bytes(content)])
            drafts += found
    documents, renamed = _with_own_titles(drafts, skipped)
    corpus = Corpus(tuple(documents), tuple(skipped), renamed, len(hashes), digest(hashes))
    if not documents:
        raise BadInput("\n".join([f"there is no document in {str(folder)!r}; {READ} are read", *corpus.told()[1:]]))
    return corpus


def _files(folder: Path, skipped: list[Skipped]) -> Iterator[tuple[str, Path]]:
    """Yield the files to read, each with its path inside the folder; links are not followed."""

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(_inside(folder, Path(error.filename)), f"cannot be read ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        hidden = [name for name in folders if name.startswith(".") and name not in links]
        folders[:] = sorted(set(folders) - {*links, *hidden})
        for name in sorted([*names, *links, *hidden]):
            path = Path(place) / name
            if reason := _refused(path, name in hidden):
                skipped.append(Skipped(_inside(folder, path), reason))
            else:
                yield _inside(folder, path), path


def _inside(folder: Path, path: Path) -> str:
    inside = path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", inside)  # names may hold line ends


def _refused(path: Path, hidden: bool) -> str | None:
    """Return why a file is not looked into, or None."""
    suffix = path.suffix.lower()
    if path.is_symlink():
        return "a link, and links are not followed; put the file itself into the folder"
    if hidden or path.name.startswith("."):
        return "hidden"
    if suffix == ".pdf":
        return _PDF
    if suffix not in _KINDS and suffix != _ROWS:
        return _UNREAD
    if not path.is_file():
        return "no regular file"
    if path.stat().st_size > LARGEST_FILE:
        return f"larger than {LARGEST_FILE:,} bytes; split it"
    return None


def _content(source: str, path: Path, skipped: list[Skipped]) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        skipped.append(Skipped(source, f"cannot be read ({error.strerror})"))
        return None
    if not content.strip():
        skipped.append(Skipped(source, "empty"))
        return None
    return content


def _documents(source: str, content: bytes, skipped: list[Skipped]) -> Iterator[Document]:
    suffix = Path(source).suffix.lower()
    try:
        text = _decoded(content, declared_charset(content) if suffix in (".html", ".htm") else None)
        if suffix == _ROWS:
            yield from _rows(source, text, skipped)
        else:
            yield _document(_KINDS[suffix](text), source, str(Path(source).with_suffix("")))
    except ValueError as error:
        skipped.append(Skipped(source, str(error)))


def _rows(source: str, text: str, skipped: list[Skipped]) -> Iterator[Document]:
    """Yield the documents of JSON lines, each an object with `text` and perhaps `title`."""
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{source}, line {number}"
        try:
            if line.strip():
                yield _document(_row(line), where, where)
        except ValueError as error:
            skipped.append(Skipped(where, str(error)))


def _row(line: str) -> Text:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("no JSON object on one line") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError("no object with a string 'text'")
    if not isinstance(row.get("title"), str | None):
        raise ValueError("its 'title' is no string")
    return Text(row.get("title") or "", row["text"])


def _decoded(content: bytes, charset: str | None) -> str:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as that of UTF-16 does
        return content.decode("utf-32")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")  # its own error is a ValueError too
    if b"\0" in content:
        raise ValueError("binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return content.decode(charset or "utf-8")
        except (UnicodeDecodeError, LookupError):
            raise ValueError(
                f"not UTF-8 at byte {error.start}; convert it with: iconv -f ITS_ENCODING -t UTF-8"
            ) from None


def _document(found: Text, source: str, otherwise: str) -> Document:
    try:
        f"{found.title}{found.text}".encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no Unicode text") from None
    text = _CONTROL.sub(" ", re.sub(r"\r\n?|\x0c", "\n", found.text)).strip()
    if not re.search(r"\w", text):
        raise ValueError("empty")
    title = " ".join(_CONTROL.sub(" ", found.title).split()) or otherwise
    shown = title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"
    return Document(shown, text, source)


def _with_own_titles(drafts: list[Document], skipped: list[Skipped]) -> tuple[list[Document], int]:
    """Return the documents under titles no two share, without repetitions, and how many titles had to change."""
    first: dict[tuple[str, str], Document] = {}
    for draft in drafts:
        earlier = first.setdefault((draft.title, draft.text), draft)
        if earlier is not draft:
            skipped.append(Skipped(draft.source, "title and text are those of a document before it"))
    counted = Counter(draft.title for draft in first.values())
    taken = {title for title, count in counted.items() if count == 1}
    kept = []
    for draft in first.values():
        title = draft.title
        if counted[title] > 1:
            names = itertools.chain([draft.source], (f"{draft.source}, {number}" for number in itertools.count(2)))
            title = next(name for one in names if (name := f"{draft.title} ({one})") not in taken)
            taken.add(title)
        kept.append(Document(title, draft.text, draft.source))
    return kept, sum(count for count in counted.values() if count > 1)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
