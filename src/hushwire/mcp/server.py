"""The MCP server: its tools, and what stands before each call."""

from collections.abc import Mapping
from typing import Any, Final

from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from msgspec import json, to_builtins

from hushwire import __version__
from hushwire.clock import Clock, Entropy
from hushwire.connect.refused import Refused
from hushwire.connect.registry import AnyAction
from hushwire.mcp.approval import Context, approved, question_of
from hushwire.mcp.backends import Backend
from hushwire.mcp.policy import TICKET_MS, Policy, Tickets
from hushwire.mcp.tools import INSTRUCTIONS, check_fields, find, marked, offered, tool_of

NAME: Final = "hushwire"

AgentServer = Server[dict[str, Any]]


def make_server(backend: Backend, policy: Policy, clock: Clock, entropy: Entropy) -> AgentServer:
    """A server for any number of clients; they share one budget."""
    tools = _Tools(backend, policy, Tickets(policy.hourly, clock, entropy))
    server: AgentServer = Server(
        NAME, version=__version__, title="Hushwire", instructions=INSTRUCTIONS,
        on_list_tools=tools.list, on_call_tool=tools.call,
    )  # fmt: skip
    security = RequestStateSecurity(keys=[entropy.bytes(32)], ttl=TICKET_MS / 1000)
    server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
    return server


class _Tools:
    def __init__(self, backend: Backend, policy: Policy, tickets: Tickets) -> None:
        self._backend = backend
        self._policy = policy
        self._tickets = tickets

    async def list(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(
            tools=[tool_of(one, self._policy) for one in offered(self._policy)]
        )  # fmt: skip

    async def call(
        self, ctx: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """What is refused is a result, so that the agent reads why."""
        try:
            action = find(params.name, self._policy)
            given = params.arguments or {}
            check_fields(action, given)
            if action.effect == "sends":
                return await self._send(ctx, params, action, given)
            return self._result(action, await self._backend.run(action, given, None))
        except Refused as problem:
            return _said(problem.body(), problem.text, is_error=True)

    async def _send(
        self, ctx: Context, params: CallToolRequestParams, action: AnyAction,
        given: Mapping[str, object],
    ) -> CallToolResult | InputRequiredResult:  # fmt: skip
        # All that can be told without the person, before the person is asked.
        wanted = action.read(given)
        message = to_builtins(wanted) | {"to": self._policy.check_recipient(wanted.to)}
        question = question_of(message, self._backend.through)
        ticket = await approved(ctx, params, question, self._tickets)
        if isinstance(ticket, InputRequiredResult):
            return ticket
        # The ticket is the idempotency key: one approval can never be two messages.
        return self._result(action, await self._backend.run(action, message, ticket))

    def _result(self, action: AnyAction, output: dict[str, Any]) -> CallToolResult:
        content = {**marked(action, output), "view": self._policy.view}
        return _said(content, json.encode(content).decode(), is_error=False)


def _said(content: dict[str, Any], text: str, *, is_error: bool) -> CallToolResult:
    """The same for programs and for models."""
    return CallToolResult(
        content=[TextContent(text=text)], structured_content=content, is_error=is_error
    )
