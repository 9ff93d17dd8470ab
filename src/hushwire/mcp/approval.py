"""A person's approval of one message, by elicitation.

Clients of before 2026-07-28 are asked while the call waits. Those since then get the question as
the call's result, and call again with the answer; what they give back is sealed, and bound to the
same arguments, by the SDK's `RequestStateBoundary`.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hushwire.connect.refused import Refused, refused
from hushwire.mcp.policy import FORBIDDEN, Tickets

APPROVAL: Final = "approval"  # the key of the question and of its answer

_SEND: Final = "send"
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        _SEND: {
            "type": "boolean", "title": "Send this message",
            "description": "It goes to this person, and cannot be taken back.",
        },
    },
    "required": [_SEND],
}  # fmt: skip
_SHOWN_FIRST: Final = ("to", "from", "messaging_service_sid", "body")

Context = ServerRequestContext[Any, Any]


async def approved(
    ctx: Context, params: CallToolRequestParams, question: str, tickets: Tickets
) -> str | InputRequiredResult:
    """The ticket of a message that the person approved; or the question, for the client to ask.

    Raises Refused: no, too late, asked too often, or nobody can be asked.
    """
    if not _can_ask(ctx):
        raise _nobody()
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        ticket = tickets.issue()
        try:
            answer = await ctx.session.elicit_form(question, _SCHEMA, ctx.request_id)
        except MCPError:  # it said that it can ask, and cannot
            raise _nobody() from None
        return _redeemed(ticket, answer, tickets)
    answers, ticket = params.input_responses, params.request_state
    if ticket is None or not answers:
        asked = ElicitRequest(
            params=ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
        )
        return InputRequiredResult(
            input_requests={APPROVAL: asked}, request_state=tickets.issue()
        )  # fmt: skip
    return _redeemed(ticket, answers.get(APPROVAL), tickets)


def question_of(given: Mapping[str, object], through: str) -> str:
    """What the person is asked. Nothing in the message can look like a line of ours."""
    lines = [f"An agent asks to send this message through {through}.", ""]
    for name in (*_SHOWN_FIRST, *(name for name in given if name not in _SHOWN_FIRST)):
        if given.get(name) is not None:
            lines += [f"{name}:", *(f"    {line}" for line in _plain(given[name]).split("\n"))]
    return "\n".join([*lines, "", "Send it?"])


def _plain(value: object) -> str:
    """A value without what a screen would obey: controls, and marks that turn text around."""
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp")
        else f"\\u{ord(one):04x}"
        for one in str(value)
    )  # fmt: skip


def _can_ask(ctx: Context) -> bool:
    """Has the client a form? Before 2025-11-25 a client that has one names no kind."""
    capabilities = ctx.session.client_capabilities
    asks = capabilities.elicitation if capabilities is not None else None
    return asks is not None and (asks.form is not None or asks.url is None)


def _redeemed(ticket: str, answer: object, tickets: Tickets) -> str:
    """The ticket, spent, if the answer is yes."""
    good = tickets.redeem(ticket)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        raise refused(FORBIDDEN, "the person did not approve this message: nothing was sent")
    if (answer.content or {}).get(_SEND) is not True:
        raise refused(FORBIDDEN, "the person said no to this message: nothing was sent")
    if not good:
        raise refused(
            FORBIDDEN, "this approval was used, or came later than ten minutes: ask again"
        )
    return ticket


def _nobody() -> Refused:
    return refused(
        FORBIDDEN, "sending needs a person's approval, and this client cannot ask for one "
        "(elicitation): nothing was sent",
    )  # fmt: skip
