"""Chat models behind one seam: a URI names the model, and every provider answers in the same values."""

from boxwright.models.base import (
    ChatModel,
    Completion,
    InnerCall,
    Message,
    ModelFacts,
    OnText,
    ToolCall,
    ToolDefinition,
    Usage,
)
from boxwright.models.budget import Budgeted
from boxwright.models.load import load_model
from boxwright.models.recorded import Recorded
from boxwright.models.scripted import Scripted

__all__ = [
    "Budgeted",
    "ChatModel",
    "Completion",
    "InnerCall",
    "Message",
    "ModelFacts",
    "OnText",
    "Recorded",
    "Scripted",
    "ToolCall",
    "ToolDefinition",
    "Usage",
    "load_model",
]
