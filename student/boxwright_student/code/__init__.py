"""Code acts: a model writes Python that composes tools."""

from boxwright_student.code.names import FINAL, python_names
from boxwright_student.code.prompt import code_prompt
from boxwright_student.code.reading import answer_of, breaks_off, read_code
from boxwright_student.code.run import CodeLimits, CodeResult, MadeCall
from boxwright_student.code.session import CodeSession
from boxwright_student.code.signatures import ToolSignature, code_signature
from boxwright_student.code.values import answer_text, to_json

__all__ = [
    "FINAL",
    "CodeLimits",
    "CodeResult",
    "CodeSession",
    "MadeCall",
    "ToolSignature",
    "answer_of",
    "answer_text",
    "breaks_off",
    "code_prompt",
    "code_signature",
    "python_names",
    "read_code",
    "to_json",
]
