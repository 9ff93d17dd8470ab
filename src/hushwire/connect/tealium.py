"""The view of marketers: Send SMS or MMS, with the parameters and limits of their connector.

Everything is checked before the call, and each field that is wrong says why. A dry run shows the
exact request and sends nothing. Nothing here promises more than a hand-over: once a carrier has a
message, it may still queue it.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, convert
from msgspec.structs import replace

from hushwire.connect.integration import Integration
from hushwire.connect.messages import form_of, path_of
from hushwire.connect.models import Input, SendMessage
from hushwire.connect.outcome import send_once
from hushwire.connect.refused import INPUT, Refused
from hushwire.connect.registry import Call, action
from hushwire.connect.tealium_rules import (
    RULES,
    Parameters,
    Problem,
    Profile,
    problems,
    warnings,
)

ProfileName = Literal["current", "tealium-2021"]


def _about(description: str, pii: str | None = None, **rules: Any) -> Meta:
    """`rules`: what the JSON Schema says; it is checked by `tealium_rules`, field by field."""
    return Meta(description=description, extra_json_schema=rules, extra={"pii": pii} if pii else {})


_Number = Annotated[str, Meta(extra={"pii": "number"})]
_Retention = Annotated[Literal["retain", "discard"], _about("Of its body")]
_Addresses = Annotated[Literal["retain", "obfuscate"], _about("Of the person's number")]


class SendSmsOrMms(Input, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The parameters of Send SMS or MMS. An empty one counts as absent."""

    to: Annotated[str, _about("The destination in E.164: +16175551212", "number")] | None = None
    from_: (
        Annotated[str, _about("A number of yours in E.164, a short code, or an alphanumeric sender "
                              "ID", "number")] | None
    ) = None  # fmt: skip
    messaging_service_sid: (
        Annotated[str, _about("MG and 32 hex digits; alone, it chooses the sender")] | None
    ) = None
    body: (
        Annotated[str, _about("The text, up to 1,600 characters", "body", maxLength=1600)] | None
    ) = None
    media_url: (
        Annotated[list[Annotated[str, _about("Where a file is", "url")]],
                  _about("Up to 10 URLs; GIF, PNG and JPEG up to 5 MB", maxItems=10)] | str | None
    ) = None  # fmt: skip
    status_callback: Annotated[str, _about("Is told each change of status", "url")] | None = None
    application_sid: (
        Annotated[str, _about("AP and 32 hex digits: its message status callback is told")] | None
    ) = None
    max_price: (
        Annotated[float | str, _about("US dollars, up to the fourth decimal: 0.0075")] | None
    ) = None
    provide_feedback: (
        Annotated[bool, _about("Its outcome will be reported by the Feedback API")] | None
    ) = None
    validity_period: (
        Annotated[int, _about("Seconds it may wait in a queue", minimum=1, maximum=36_000)] | None
    ) = None
    content_retention: _Retention | None = None
    address_retention: _Addresses | None = None
    profile: Annotated[ProfileName, _about("Whose rules; the connection's if absent")] | None = None
    dry_run: Annotated[bool, _about("Show the request and its faults; send nothing")] = False


class Request(Struct, frozen=True):
    """A request as it would be sent. The credential is not shown."""

    method: str
    url: str
    headers: dict[str, str]
    body: Annotated[str, Meta(description="The form, encoded", extra={"pii": "body"})] | None


class Sent(Struct, frozen=True, rename={"from_": "from"}):
    """The message that was accepted, as Twilio's API shows it; of a dry run, the request."""

    sid: str | None = None
    account_sid: str | None = None
    status: str | None = None
    direction: str | None = None
    to: _Number | None = None
    from_: _Number | None = None
    body: Annotated[str, Meta(extra={"pii": "body"})] | None = None
    num_segments: str | None = None
    num_media: str | None = None
    messaging_service_sid: str | None = None
    price: str | None = None
    price_unit: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    date_created: str | None = None
    date_sent: str | None = None
    date_updated: str | None = None
    uri: str | None = None
    warnings: Annotated[dict[str, str], _about("By field: what may surprise")] = {}
    request: Annotated[Request, _about("Of a dry run")] | None = None
    problems: Annotated[dict[str, str], _about("Of a dry run, by field: what is wrong")] = {}


@action("Send SMS or MMS", scopes=("messages.send",), effect="sends", idempotency="key",
        view="tealium")  # fmt: skip
async def send_sms_or_mms(call: Call, given: SendSmsOrMms) -> Sent:
    """Send an SMS or MMS for an audience or an event. Each field is checked before the call."""
    profile = RULES[given.profile or call.profile]
    asked = _parameters(given)
    wrong = problems(asked, profile)
    told = {each.field: each.text for each in warnings(asked, profile, cloud=call.wire.is_cloud)}
    if given.dry_run:
        wanted = _message(given, asked, profile)
        return Sent(warnings=told, request=_request(call, wanted), problems=_by_field(wrong))
    if wrong:
        raise Refused(wrong[0].code, INPUT.status, "; ".join(each.reason for each in wrong),
                      field=wrong[0].field)  # fmt: skip
    wanted = _message(given, asked, profile)
    record = await send_once(call, path_of(call, wanted.account_sid), form_of(wanted))
    return replace(convert(record, Sent, strict=False), warnings=told)


def _request(call: Call, wanted: SendMessage) -> Request:
    """What would be sent, from the client that would send it."""
    path, form = path_of(call, wanted.account_sid), form_of(wanted)
    request = call.wire.preview(path, form, key=call.key)
    return Request(request.method, str(request.url), dict(request.headers),
                   request.content.decode())  # fmt: skip


def _by_field(wrong: list[Problem]) -> dict[str, str]:
    """Field → Twilio's code and the reason; the first of each."""
    return {each.field: f"{each.code}: {each.reason}" for each in reversed(wrong)}


def _parameters(given: SendSmsOrMms) -> Parameters:
    return Parameters(
        given.to or "", given.from_ or "", given.messaging_service_sid or "", given.body or "",
        _urls(given.media_url), given.status_callback or "", given.application_sid or "",
        _price(given.max_price), given.validity_period,
    )  # fmt: skip


def _message(given: SendSmsOrMms, asked: Parameters, profile: Profile) -> SendMessage:
    """The message of Twilio's current API that these parameters stand for."""
    callback = asked.status_callback
    if profile.application_first and asked.application_sid:
        callback = ""
    return SendMessage(
        account_sid=given.account_sid, to=asked.to, from_=asked.from_ or None,
        messaging_service_sid=asked.messaging_service_sid or None, body=asked.body or None,
        media_url=asked.media_url or None, status_callback=callback or None,
        application_sid=asked.application_sid or None, max_price=asked.max_price or None,
        provide_feedback=given.provide_feedback,
        validity_period=profile.validity_default_s if asked.validity_period is None
        else asked.validity_period,
        content_retention=given.content_retention, address_retention=given.address_retention,
    )  # fmt: skip


def _urls(given: list[str] | str | None) -> list[str]:
    if given is None:
        return []
    return [url for url in ([given] if isinstance(given, str) else given) if url]


def _price(given: float | str | None) -> str:
    """As text. A float is written as people write it: 0.00001, not 1e-05."""
    if given is None or isinstance(given, str):
        return given or ""
    return format(Decimal(repr(given)), "f")


INTEGRATION: Final = Integration(
    view="tealium",
    title="Twilio",
    version="2021-11-10",  # of the document whose parameters these are
    description="Send an SMS or MMS to people of an audience, or for an event.",
    actions=("send_sms_or_mms",),
    scopes=("messages.send",),
    prerequisites=("Account SID (username)", "Auth Token (password)"),
)
