"""Reading and mending the tool calls that small models write, and asking for them in the text."""

from boxwright_student.calls.messages import skeleton, tells_of_fault
from boxwright_student.calls.prompted import call_schema, prompted, tool_instructions
from boxwright_student.calls.reading import NO_TOOL, Fault, Reading, read_calls

__all__ = [
    "NO_TOOL",
    "Fault",
    "Reading",
    "call_schema",
    "prompted",
    "read_calls",
    "skeleton",
    "tells_of_fault",
    "tool_instructions",
]
