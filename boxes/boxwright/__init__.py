"""The kernel of Boxwright: box format, registry, sandbox, tasks, scoring, traces and models; nothing that acts alone.

Kept empty on purpose: `boxwright --help` imports this package, so nothing heavy may be imported here.
"""

__version__ = "0.1.0"
