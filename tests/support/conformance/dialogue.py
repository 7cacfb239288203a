"""The suite's fixtures that ask the client back, report progress or log: what boxes, which only compute, never do.

Before 2026-07-28 a server sends its questions as requests of its own; since then they are the result of the call, which
the client makes again with the answers.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastmcp import Context, FastMCP
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

ENUMS: dict[str, Any] = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {"type": "string", "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]},
    },
}
DEFAULTS: dict[str, Any] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}


def add_reports(server: FastMCP) -> None:
    """Add the tools that report while they run."""

    @server.tool
    async def test_tool_with_logging(ctx: Context) -> str:
        """Send three log messages."""
        for step in ("started", "processing data", "completed"):
            await ctx.info(f"Tool execution {step}" if step != "processing data" else "Tool processing data")
            await asyncio.sleep(0.05)
        return "Logged three times."

    @server.tool
    async def test_logging_tool(ctx: Context) -> str:
        """Log once, which a client of 2026-07-28 hears only if it asked to."""
        await ctx.info("a message")
        return "Logged once."

    @server.tool
    async def test_tool_with_progress(ctx: Context) -> str:
        """Report progress three times."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await asyncio.sleep(0.05)
        return "Reported progress."


def add_requests(server: FastMCP) -> None:
    """Add the tools that ask the client the way of 2025-11-25: with requests of their own."""

    @server.tool
    async def test_sampling(prompt: str, ctx: Context) -> str:
        """Ask the client's model."""
        question = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        answer = await ctx.session.create_message([question], max_tokens=100, related_request_id=ctx.request_id)
        return f"LLM response: {answer.content}"

    async def ask(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> str:
        schema = {"type": "object", "properties": properties, "required": required}
        answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"

    @server.tool
    async def test_elicitation(message: str, ctx: Context) -> str:
        """Ask the user for a name and an address."""
        fields = {"username": {"type": "string"}, "email": {"type": "string"}}
        return await ask(ctx, message, fields, list(fields))

    @server.tool
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        """Ask the user, with defaults."""
        return await ask(ctx, "Please review the defaults", DEFAULTS, [])

    @server.tool
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        """Ask the user to choose."""
        return await ask(ctx, "Please choose", ENUMS, [])


def add_rounds(server: FastMCP) -> None:
    """Add the tools and the prompt that ask the client the way of 2026-07-28: in rounds."""

    @server.tool
    async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
        """Ask for a name, and greet."""
        name = _answer(ctx, "user_name", "name")
        return f"Hello, {name}!" if name else _asking(user_name=_form("What is your name?", name="string"))

    @server.tool
    async def test_streaming_elicitation(ctx: Context) -> str | InputRequiredResult:
        """Ask within a response stream."""
        await ctx.report_progress(0, 1)
        return _asking(confirm=_form("Go on?", ok="boolean"))

    @server.tool
    async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
        """Ask the client's model."""
        answer = (ctx.input_responses or {}).get("capital_question")
        return f"{answer}" if answer else _asking(capital_question=_sample("What is the capital of France?"))

    @server.tool
    async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
        """Ask for the client's roots."""
        answer = (ctx.input_responses or {}).get("client_roots")
        return f"{answer}" if answer else _asking(client_roots=ListRootsRequest())

    @server.prompt
    async def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
        """Ask for context before giving the prompt."""
        context = _answer(ctx, "user_context", "context")
        return context or _asking(user_context=_form("What context should the prompt use?", context="string"))


def add_rounds_with_state(server: FastMCP) -> None:
    """Add the tools that give the client state to bring back with its answers."""

    @server.tool
    async def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
        """Ask with state, and check the state that comes back."""
        return "state-ok" if ctx.request_state == "asked" else _asking("asked", confirm=_form("Confirm?", ok="boolean"))

    @server.tool
    async def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
        """Ask with state that the SDK seals, so that a changed one never arrives here."""
        return "untouched" if ctx.request_state == "sealed" else _asking("sealed", confirm=_form("Sure?", ok="boolean"))

    @server.tool
    async def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
        """Ask three things at once."""
        answers = ctx.input_responses or {}
        if ctx.request_state == "three" and {"user_name", "greeting", "client_roots"} <= answers.keys():
            return "All three were answered."
        name, greeting = _form("What is your name?", name="string"), _sample("Generate a greeting")
        return _asking("three", user_name=name, greeting=greeting, client_roots=ListRootsRequest())

    @server.tool
    async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
        """Ask twice, one after the other."""
        if ctx.request_state is None:
            return _asking("first", step1=_form("Step 1: What is your name?", name="string"))
        if ctx.request_state == "first":
            return _asking("second", step2=_form("Step 2: What is your favorite color?", color="string"))
        return f"Your color is {_answer(ctx, 'step2', 'color')}."


def add_capabilities(server: FastMCP) -> None:
    """Add the tools that depend on what the client says it can do."""

    @server.tool
    async def test_input_required_result_capabilities(ctx: Context) -> str | InputRequiredResult:
        """Ask only what the client declared."""
        declared = ctx.session.client_capabilities
        if declared and declared.elicitation:
            return _asking(user_name=_form("What is your name?", name="string"))
        return _asking(greeting=_sample("Generate a greeting"))

    @server.tool
    async def test_missing_capability(ctx: Context) -> str:
        """Need a client that lends its model."""
        declared = ctx.session.client_capabilities
        if declared and declared.sampling:
            return "The client can sample."
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs a client that can sample", needed)


def _asking(state: str | None = None, /, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def _form(message: str, **fields: str) -> ElicitRequest:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def _answer(ctx: Context, key: str, field: str) -> str | None:
    """Return a field of the form the user filled in, or None where it was not, or not yet, answered."""
    content = getattr((ctx.input_responses or {}).get(key), "content", None)
    value = content.get(field) if isinstance(content, dict) else None
    return str(value) if value is not None else None
