"""A box as a folder: which files it may hold, reading them, and the digest over them. Writes nothing."""

from __future__ import annotations

from pathlib import Path

from boxwright.box.examples import Example, parse_examples
from boxwright.box.manifest import Manifest, parse_manifest
from boxwright.box.release import Release, parse_tools
from boxwright.box.requirements import REQUIREMENTS_FILE, Package, parse_requirements
from boxwright.errors import BoxInvalid, DigestMismatch
from boxwright.jsontypes import digest, digest_bytes

SOURCE_FILES = ("box.toml", "tools.py", "examples.jsonl", "README.md")
"""What a person or a teacher writes; every box has all of them."""
BUILT_FILE = "tools.json"
LARGEST_FILE = 64_000_000
"""In bytes."""
MOST_FILES = 1000
"""A box with more keeps them in an archive or a database: each is shown to the sandbox by itself."""
IGNORED = {"__pycache__", ".DS_Store"}
"""Left by tools that look at a box; never part of it."""


def box_files(folder: Path) -> dict[str, Path]:
    """Return the files of a box by their path inside it, sorted.

    Raises:
        BoxInvalid: A file is missing, too large, no regular file, or has no place in a box.
    """
    if not folder.is_dir():
        raise BoxInvalid(str(folder), ["there is no such folder; `boxwright boxes new NAME` makes one"])
    paths = [path for path in sorted(folder.rglob("*")) if not IGNORED & set(path.relative_to(folder).parts)]
    files = {path.relative_to(folder).as_posix(): path for path in paths if path.is_symlink() or not path.is_dir()}
    faults = [f"{name}: missing" for name in SOURCE_FILES if name not in files]
    if len(files) > MOST_FILES:
        faults.append(f"{len(files)} files, and a box may have {MOST_FILES}; pack those under data/ into one")
    for name, path in files.items():
        if path.is_symlink() or not path.is_file():
            faults.append(f"{name}: not a regular file; links have no place in a box")
        elif path.stat().st_size > LARGEST_FILE:
            faults.append(f"{name}: larger than {LARGEST_FILE} bytes")
        elif name not in (*SOURCE_FILES, BUILT_FILE, REQUIREMENTS_FILE) and not name.startswith("data/"):
            faults.append(f"{name}: has no place in a box; read-only files go under data/")
    if faults:
        raise BoxInvalid(str(folder), faults)
    return files


def files_digest(folder: Path) -> str:
    """Return the digest of a box: over the canonical list of its files' paths and hashes.

    Raises:
        BoxInvalid: The folder is not a box.
    """
    hashes = [{"path": name, "sha256": digest_bytes(path.read_bytes())} for name, path in box_files(folder).items()]
    return digest(hashes)


def check_digest(release: Release) -> None:
    """Derive the release's digest from its files again.

    Raises:
        DigestMismatch: It is not the one recorded when the release was published.
    """
    actual = files_digest(release.folder)
    if actual != release.digest:
        raise DigestMismatch(
            f"box {release.title} was changed after it was published: its files in {release.folder} have the "
            f"digest {actual}, recorded is {release.digest}; restore them, or take the release out of use: "
            f"boxwright boxes mark {release.name} {release.version} yanked"
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's manifest.

    Raises:
        BoxInvalid: There is none, or it has faults.
    """
    return parse_manifest(_text(folder / "box.toml"), str(folder / "box.toml"))


def read_examples(folder: Path) -> list[Example]:
    """Return the folder's examples.

    Raises:
        BoxInvalid: There are none, or some have faults.
    """
    return parse_examples(_text(folder / "examples.jsonl"), str(folder / "examples.jsonl"))


def read_requirements(folder: Path) -> list[Package]:
    """Return the packages the folder's box pins; none where it has no such file.

    Raises:
        BoxInvalid: A line of the file is no pin with hashes.
    """
    path = folder / REQUIREMENTS_FILE
    return parse_requirements(_text(path), str(path)) if path.exists() else []


def read_release(folder: Path, *, digest: str | None = None) -> Release:
    """Return the folder as a release; its digest is computed unless a recorded one is given.

    Raises:
        BoxInvalid: The folder is not a box.
    """
    built = folder / BUILT_FILE
    return Release(
        folder=folder,
        manifest=read_manifest(folder),
        tools=parse_tools(_text(built), str(built)) if built.exists() else (),
        digest=digest or files_digest(folder),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BoxInvalid(str(path), ["missing"]) from None
    except UnicodeDecodeError as error:
        raise BoxInvalid(str(path), [f"not UTF-8 text at byte {error.start}"]) from error
