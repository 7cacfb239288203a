"""`requirements.txt` of a box that needs packages: every one of them pinned, with hashes, as pip and uv write it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from boxwright.errors import BoxInvalid

REQUIREMENTS_FILE = "requirements.txt"
_HASH = re.compile(r"--hash=(\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Package:
    """One pinned package."""

    name: str
    """In its canonical form (PEP 503)."""
    version: str
    line: str
    """The pin as it was understood, on one line: what an installer is given in place of the file."""


def parse_requirements(text: str, where: str = REQUIREMENTS_FILE) -> list[Package]:
    """Read the file.

    Raises:
        BoxInvalid: A line is anything but a name, an exact version and its hashes.
    """
    found, faults = [], []
    joined = re.sub(r"\\\r?\n", " ", text)
    for line in joined.splitlines():
        content = re.sub(r"(^|\s)#.*", "", line).strip()
        if not content:
            continue
        try:
            found.append(_package(content))
        except ValueError as error:
            faults.append(f"{content[:80]!r}: {error}")
    if faults:
        raise BoxInvalid(where, faults)
    return found


def missing_pins(dependencies: Sequence[str], packages: Sequence[Package]) -> list[str]:
    """Return what is wrong between a manifest's dependencies and the pinned packages."""
    pinned = {package.name: package.version for package in packages}
    faults = []
    for dependency in dependencies:
        wanted = Requirement(dependency)
        version = pinned.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            has = f"has {version}" if version else "lacks it"
            faults.append(f"dependencies: {dependency!r} is asked for, and {REQUIREMENTS_FILE} {has}")
    if packages and not dependencies:
        faults.append(f"{REQUIREMENTS_FILE}: pins packages, and the manifest asks for none")
    return faults


def _package(line: str) -> Package:
    hashes = _HASH.findall(line)
    try:
        requirement = Requirement(_HASH.sub("", line).strip())
    except InvalidRequirement as error:
        raise ValueError("no pin such as 'sympy==1.13.3 --hash=sha256:…'") from error
    operators = [one.operator for one in requirement.specifier]
    if requirement.url or operators != ["=="] or "*" in str(requirement.specifier):
        raise ValueError("not pinned to one version with ==")
    if not hashes or not all(_SHA256.fullmatch(one) for one in hashes):
        raise ValueError("has no sha256 hash; `boxwright boxes pin FOLDER` writes them")
    understood = " ".join([str(requirement), *(f"--hash={one}" for one in hashes)])
    return Package(canonicalize_name(requirement.name), next(iter(requirement.specifier)).version, understood)
