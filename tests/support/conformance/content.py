"""The suite's fixtures of content that no box returns (images, audio, resources), of resources, prompts and completion."""

from __future__ import annotations

import base64
import json
from typing import Any

from fastmcp import FastMCP
from fastmcp.prompts import Message
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp_types import (
    AudioContent,
    Completion,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
"""A PNG of one red pixel, in base64."""
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
"""A WAV file of one silent sample, in base64."""
WATCHED = "test://watched-resource"
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""As the suite asks for it; a box's schemas are derived from type hints and hold none of the rarer keywords."""
MIRRORED = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}
"""An argument that clients repeat in a header, for the checks of such headers."""


class Fixed(Tool):
    """A tool with the schema it is given, which answers whatever it is called with."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """See `Tool.run`."""
        return ToolResult(content=f"called with {json.dumps(arguments)}")


def add_content(server: FastMCP) -> None:
    """Add the tools that return content other than text, and those that are there for their schemas."""
    text = TextContent(type="text", text="Multiple content types test:")
    image = ImageContent(type="image", data=PIXEL, mime_type="image/png")
    server.add_tool(Fixed(name="json_schema_2020_12_tool", description="Rich schema", parameters=SCHEMA_2020_12))
    server.add_tool(Fixed(name="test_mirrored_argument", description="Header mirror", parameters=MIRRORED))

    @server.tool
    def test_image_content() -> ToolResult:
        """Return an image."""
        return ToolResult(content=[image])

    @server.tool
    def test_audio_content() -> ToolResult:
        """Return audio."""
        return ToolResult(content=[AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")])

    @server.tool
    def test_embedded_resource() -> ToolResult:
        """Return a resource within the result."""
        return ToolResult(content=[_embedded("test://embedded-resource", "text/plain", "An embedded resource.")])

    @server.tool
    def test_multiple_content_types() -> ToolResult:
        """Return text, an image and a resource."""
        mixed = _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
        return ToolResult(content=[text, image, mixed])


def add_resources(server: FastMCP) -> None:
    """Add the resources, and the subscription to one that FastMCP has no handler for."""

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A fixed text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """A fixed image."""
        return base64.b64decode(PIXEL)

    @server.resource("test://template/{name}/data", mime_type="application/json")
    def template(name: str) -> str:
        """Data with the parameter in it."""
        return json.dumps({"id": name, "templateTest": True, "data": f"Data for ID: {name}"})

    @server.resource(WATCHED, mime_type="text/plain")
    def watched() -> str:
        """A text that clients may subscribe to."""
        return "Watched resource content."

    subscribed: set[str] = set()

    async def subscribe(_: Any, params: SubscribeRequestParams) -> EmptyResult:
        subscribed.add(params.uri)
        return EmptyResult()

    async def unsubscribe(_: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        subscribed.discard(params.uri)
        return EmptyResult()

    server._mcp_server.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    server._mcp_server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)


def add_prompts(server: FastMCP) -> None:
    """Add the prompts, and completion of their arguments."""

    @server.prompt
    def test_simple_prompt() -> str:
        """A prompt without arguments."""
        return "This is a simple prompt for testing."

    @server.prompt
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's name
        """A prompt with a resource in it."""
        return [Message(_embedded(resourceUri, "text/plain", "Embedded resource content for testing.")), Message("?")]

    @server.prompt
    def test_prompt_with_image() -> list[Message]:
        """A prompt with an image in it."""
        return [Message(ImageContent(type="image", data=PIXEL, mime_type="image/png")), Message("What is shown?")]

    @server.completion
    def complete(_: object, argument: Any, __: object) -> Completion:
        cities = ["paris", "park", "party"]
        return Completion(values=[city for city in cities if city.startswith(argument.value)])


def _embedded(uri: str, kind: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))
