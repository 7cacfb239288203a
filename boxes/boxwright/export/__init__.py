"""Exports of a release into the formats of others. What is exported runs without Boxwright, hence without a sandbox."""

from boxwright.export.write import FORMATS, export

__all__ = ["FORMATS", "export"]
