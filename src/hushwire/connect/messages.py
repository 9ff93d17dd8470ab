"""The actions on messages."""

from typing import Any, Final

from msgspec import convert
from msgspec.structs import asdict

from hushwire.connect.dates import span
from hushwire.connect.models import (
    Deleted,
    ListMessages,
    Message,
    Messages,
    OneMessage,
    SendMessage,
    UpdateMessage,
)
from hushwire.connect.outcome import send_once
from hushwire.connect.paging import walk
from hushwire.connect.refused import INPUT, UNSURE, Refused, refused
from hushwire.connect.registry import Call, action
from hushwire.connect.wire import OutcomeUnknown, Record

_MESSAGE: Final = {"message_sid": "sid"}


def form_of(given: SendMessage) -> dict[str, str | list[str]]:
    """The form of a create: Twilio's parameter names, without what is not said."""
    form: dict[str, str | list[str]] = {}
    for name, value in asdict(given).items():
        if value is not None and name != "account_sid":
            form[_parameter(name)] = _text(value)
    return form


def _parameter(name: str) -> str:
    """`media_url` → `MediaUrl`; `from_` → `From`."""
    special = {"send_as_mms": "SendAsMms"}
    return special.get(name) or "".join(part.capitalize() for part in name.split("_"))


def _text(value: object) -> str | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [str(item) for item in items]
    return str(value)


def query_of(given: ListMessages) -> dict[str, str]:
    """The filters of a list: Twilio's parameter names, without what is not said.

    Raises Refused for a date that is none: what a backend makes of it is not documented.
    """
    for field in ("date_sent", "date_sent_before", "date_sent_after"):
        if (text := getattr(given, field)) is not None:
            span(field, text)
    asked = {
        "To": given.to, "From": given.from_, "DateSent": given.date_sent,
        "DateSent<": given.date_sent_before, "DateSent>": given.date_sent_after,
    }  # fmt: skip
    return {name: value for name, value in asked.items() if value is not None}


def path_of(call: Call, account_sid: str | None, rest: str = "Messages.json") -> str:
    """A path below the account that was named, or the connection's own."""
    return f"/2010-04-01/Accounts/{account_sid or call.account_sid}/{rest}"


def message_of(record: Record) -> Message:
    """A message of the API. Numbers that Twilio writes as text stay text."""
    return convert(record, Message, strict=False)


@action("Send a message", scopes=("messages.send",), effect="sends", idempotency="key")
async def send_message(call: Call, given: SendMessage) -> Message:
    """Send an SMS, MMS or WhatsApp message. It is accepted when this returns; not yet delivered."""
    if given.from_ is None and given.messaging_service_sid is None:
        raise refused(INPUT, "from is missing: name a sender, or a messaging_service_sid",
                      field="from")  # fmt: skip
    if given.body is None and not given.media_url and given.content_sid is None:
        raise refused(INPUT, "body is missing: give a body, a media_url or a content_sid",
                      field="body")  # fmt: skip
    path = path_of(call, given.account_sid)
    return message_of(await send_once(call, path, form_of(given)))


@action("List messages", scopes=("messages.list",), effect="reads", idempotency="safe")
async def list_messages(call: Call, given: ListMessages) -> Messages:
    """List messages, newest first, by number and by date. Tells the filters really applied."""
    found = await walk(
        call.wire, path_of(call, given.account_sid), "messages", query_of(given), limit=given.limit,
        page=given.page, page_size=given.page_size,
    )  # fmt: skip
    return Messages([message_of(one) for one in found.records], found.applied, found.more)


@action("Retrieve a message", scopes=("messages.read",), effect="reads", idempotency="safe",
        aliases=_MESSAGE)  # fmt: skip
async def retrieve_message(call: Call, given: OneMessage) -> Message:
    """Read one message by its SID."""
    path = path_of(call, given.account_sid, f"Messages/{given.sid}.json")
    return message_of(await call.wire.get(path))


@action("Update a message", scopes=("messages.update",), effect="changes",
        idempotency="repeatable", aliases=_MESSAGE)  # fmt: skip
async def update_message(call: Call, given: UpdateMessage) -> Message:
    """Forget the text of a finished message (body ""), or cancel a scheduled one."""
    if given.body is None and given.status is None:
        raise refused(INPUT, 'body is missing: give body "", or status "canceled"', field="body")
    form: dict[str, str | list[str]] = {}
    if given.body is not None:
        form["Body"] = ""
    if given.status is not None:
        form["Status"] = given.status
    return await _update(call, given.account_sid, given.sid, form)


@action("Cancel a message", scopes=("messages.update",), effect="changes",
        idempotency="repeatable", aliases=_MESSAGE)  # fmt: skip
async def cancel_message(call: Call, given: OneMessage) -> Message:
    """Cancel a scheduled message: it is never sent."""
    return await _update(call, given.account_sid, given.sid, {"Status": "canceled"})


@action("Redact a message", scopes=("messages.update",), effect="erases",
        idempotency="repeatable", aliases=_MESSAGE)  # fmt: skip
async def redact_message(call: Call, given: OneMessage) -> Message:
    """Forget the text of a finished message; the rest stays. It cannot be brought back."""
    return await _update(call, given.account_sid, given.sid, {"Body": ""})


@action("Delete a message", scopes=("messages.delete",), effect="erases",
        idempotency="repeatable", aliases=_MESSAGE)  # fmt: skip
async def delete_message(call: Call, given: OneMessage) -> Deleted:
    """Delete a finished message and its media. What is already gone counts as deleted."""
    path = path_of(call, given.account_sid, f"Messages/{given.sid}.json")
    try:
        await call.wire.delete(path)
    except Refused as problem:
        if problem.status != 404:
            raise
        return Deleted(given.sid, already=True)
    return Deleted(given.sid)


async def _update(
    call: Call, account_sid: str | None, sid: str, form: dict[str, str | list[str]]
) -> Message:
    """To do it twice does no harm, but a message that is canceled cannot be canceled again."""
    path = path_of(call, account_sid, f"Messages/{sid}.json")
    try:
        return message_of(await call.wire.post(path, form))
    except OutcomeUnknown:
        found = await call.wire.get(path)
    if all(found[name.lower()] == value for name, value in form.items()):
        return message_of(found)
    try:
        return message_of(await call.wire.post(path, form))
    except OutcomeUnknown:
        raise refused(
            UNSURE, "the connection broke and nobody knows whether it was done: ask for it again"
        ) from None
