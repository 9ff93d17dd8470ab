"""The parameters of a message's create, one table (D11): the support page is made from it.

Honoured · accepted without effect · refused, with Twilio's own error, until the capability
comes. A value that is wrong is told as such, whatever becomes of its parameter. A parameter
that is not in the table is unknown and ignored, as Twilio does.
"""

from typing import Final, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.messages import VALIDITY_MAX_S, Particulars, SendMessage
from hushwire.api.values import (
    Fits,
    anything,
    is_boolean,
    is_object,
    is_price,
    is_sender,
    is_time,
    is_true,
    is_url,
    is_variables,
    sid,
    whole,
    word,
)
from hushwire.api.wire import Form
from hushwire.clock import Clock
from hushwire.domain.media import COUNT_MAX
from hushwire.domain.phone import SMS, channel_of, mask, normalise
from hushwire.domain.schedule import is_in_window, read_time
from hushwire.errors import Refusal
from hushwire.private import Private

CHANNELS: Final = frozenset({"whatsapp", "messenger", "rcs"})
_ALPHANUMERIC_MAX: Final = 11  # of a sender ID: `MGM Resorts` is one, a longer `MG…` is a service


class Parameter(Struct, frozen=True):
    """What its values look like, and what becomes of it."""

    fits: Fits  # `anything` where the action has the say
    wrong: str = "invalid_parameter"  # the problem of a value that does not fit
    idle: str = ""  # why it has no effect
    refused: str = ""  # the problem while what it asks for is not there
    values_max: int = 1
    crowd: str = "invalid_parameter"  # the problem of more values: which counts would be a guess


PARAMETERS: Final[dict[str, Parameter]] = {
    "To": Parameter(anything, "to_invalid"),
    "From": Parameter(anything, "from_invalid"),
    "Body": Parameter(anything, "body_too_long"),
    "StatusCallback": Parameter(anything, "status_callback_invalid"),
    "ValidityPeriod": Parameter(whole(1, VALIDITY_MAX_S), "validity_invalid"),
    "SmartEncoded": Parameter(is_boolean, "invalid_boolean"),
    "ContentRetention": Parameter(anything, "content_retention_invalid"),
    "AddressRetention": Parameter(anything, "address_retention_invalid"),
    "ProvideFeedback": Parameter(is_boolean, "invalid_boolean"),
    "Attempt": Parameter(whole(0, 999_999_999), idle="informational at Twilio too"),
    "ForceDelivery": Parameter(is_boolean, "invalid_boolean", idle="reserved by Twilio"),
    "MaxPrice": Parameter(
        is_price, "max_price_invalid",
        idle="obsolete at Twilio since June 2024; honoured with the setting `max_price`",
    ),
    "RiskCheck": Parameter(word("enable", "disable"), idle="no risk check is made"),
    "TrafficType": Parameter(word("free"), idle="semantics unpublished"),
    "Tags": Parameter(is_object),
    "MessagingServiceSid": Parameter(sid("MG"), "service_invalid"),
    "ScheduleType": Parameter(word("fixed"), "schedule_type_invalid"),
    "SendAt": Parameter(is_time, "send_at_out_of_range"),
    "ContentSid": Parameter(sid("HX"), "content_sid_invalid"),
    "ContentVariables": Parameter(is_variables, "content_variables_invalid"),
    "ApplicationSid": Parameter(sid("AP"), "application_not_accessible"),
    # Of several that are not there, the first in this table is named.
    "FallbackFrom": Parameter(is_sender, "fallback_invalid", refused="fallback_without_rcs"),
    "MediaUrl": Parameter(
        is_url, "media_invalid", values_max=COUNT_MAX, crowd="media_too_many"
    ),
    "SendAsMms": Parameter(is_boolean, "invalid_boolean"),
    "PersistentAction": Parameter(anything, refused="parameter_not_supported", values_max=100),
    "ShortenUrls": Parameter(is_boolean, "invalid_boolean", refused="parameter_not_supported"),
}  # fmt: skip


class Combination(Struct, frozen=True):
    """What does not go together: all of `given` there, and none of `without`."""

    problem: str
    given: frozenset[str]
    without: frozenset[str]


def _when(problem: str, *given: str, without: tuple[str, ...] = ()) -> Combination:
    return Combination(problem, frozenset(given), frozenset(without))


COMBINATIONS: Final = (
    _when("fallback_with_from", "FallbackFrom", "From"),
    _when("fallback_without_service", "FallbackFrom", without=("MessagingServiceSid",)),
    _when("schedule_without_service", "ScheduleType", without=("MessagingServiceSid",)),
    _when("schedule_without_service", "SendAt", without=("MessagingServiceSid",)),
    _when("send_at_required", "ScheduleType", without=("SendAt",)),
    _when("schedule_type_invalid", "SendAt", without=("ScheduleType",)),
    _when("content_sid_required", "ContentVariables", without=("ContentSid",)),
    _when("to_required", without=("To",)),
    _when("from_required", without=("From", "MessagingServiceSid")),
    _when("no_content", without=("Body", "MediaUrl", "ContentSid")),
)

HONOURED: Final = tuple(n for n, p in PARAMETERS.items() if not p.idle and not p.refused)
WITHOUT_EFFECT: Final = {name: p.idle for name, p in PARAMETERS.items() if p.idle}
REFUSED: Final = {name: p.refused for name, p in PARAMETERS.items() if p.refused}

_PLAIN: Final = frozenset({"To", "From", "Body", "StatusCallback"})
_FLAGS: Final = frozenset(name for name in REFUSED if PARAMETERS[name].fits is is_boolean)
# With any of these a create has particulars.
_PARTICULAR: Final = frozenset(
    {"MessagingServiceSid", "ApplicationSid", "ContentSid", "ContentVariables", "ScheduleType",
     "SendAt", "Tags", *WITHOUT_EFFECT, *REFUSED}
)  # fmt: skip


def read_send(form: Form, clock: Clock) -> SendMessage:
    """A create's form as what is to be sent. Raises Refusal for what cannot be honoured.

    What is well formed and only not there yet is left in `particulars.lacking`: the action says
    so once it found nothing wrong with the rest.
    """
    get = form.get
    from_ = get("From")
    if from_ is not None and from_[0].startswith("MG") and len(from_[0]) > _ALPHANUMERIC_MAX:
        form = _service_named(form)  # W11
        get, from_ = form.get, None
    special = from_ is None or not from_[0].startswith("+")  # not a number, perhaps
    plain = True
    for name, values in form.items():
        if name not in _PLAIN or len(values) > 1:
            plain = False
            _check(name, values)
            special |= name in _PARTICULAR
    to, body, callback = get("To"), get("Body"), get("StatusCallback")
    particulars = _particulars(form, clock.now_ms()) if special else None
    if to is not None and (":" in to[0] or (from_ is not None and ":" in from_[0])):
        _refuse_channel(to[0], from_[0] if from_ is not None else None)
    wanted = SendMessage(
        Private(to[0]) if to is not None else None,
        Private(from_[0]) if from_ is not None else None,
        Private(body[0]) if body is not None else None,
        Private(callback[0]) if callback is not None else None,
        particulars=particulars,
    )
    return wanted if plain else _with_options(wanted, form)


def _with_options(wanted: SendMessage, form: Form) -> SendMessage:
    """With what not every form has."""
    return replace(
        wanted,
        validity_s=int(form["ValidityPeriod"][0]) if "ValidityPeriod" in form else None,
        provide_feedback="ProvideFeedback" in form and is_true(form["ProvideFeedback"][0]),
        smart_encoded=is_true(form["SmartEncoded"][0]) if "SmartEncoded" in form else None,
        content_retention=_one(form, "ContentRetention"),
        address_retention=_one(form, "AddressRetention"),
        media_urls=tuple(map(Private, form["MediaUrl"])) if "MediaUrl" in form else (),
        as_mms="SendAsMms" in form and is_true(form["SendAsMms"][0]),
    )


def _service_named(form: Form) -> Form:
    """`From=MG…` is a Messaging Service."""
    rest = {name: values for name, values in form.items() if name != "From"}
    rest["MessagingServiceSid"] = [*form.get("MessagingServiceSid", ()), *form["From"]]
    return rest


def _check(name: str, values: list[str]) -> None:
    """Raises Refusal for a value of a parameter that is not of its form, or one too many."""
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return
    if len(values) > parameter.values_max:
        raise Refusal(parameter.crowd, parameter=name)
    for value in values:
        if not parameter.fits(value):
            raise Refusal(parameter.wrong, parameter=name)


def _particulars(form: Form, now_ms: int) -> Particulars:
    """What few forms have. Raises Refusal for parameters that do not go together, and a time
    out of range."""
    send_at = _one(form, "SendAt")
    if send_at is not None and not is_in_window(read_time(send_at) or 0, now_ms):
        raise Refusal("send_at_out_of_range")
    for combination in COMBINATIONS:
        if form.keys() >= combination.given and form.keys().isdisjoint(combination.without):
            raise Refusal(combination.problem)
    variables, service = _one(form, "ContentVariables"), _one(form, "MessagingServiceSid")
    content, application = _one(form, "ContentSid"), _one(form, "ApplicationSid")
    return Particulars(
        service=_sid(service),
        application=_sid(application),
        content=_sid(content),
        variables=Private(variables) if variables is not None else None,
        schedule_type=_one(form, "ScheduleType"),
        send_at=send_at,
        max_price=_one(form, "MaxPrice"),
        tags=_one(form, "Tags"),
        lacking=_lacking(form),
        idle=tuple(name for name in WITHOUT_EFFECT if name in form),
    )


def _one(form: Form, name: str) -> str | None:
    values = form.get(name)
    return values[0] if values is not None else None


def _sid(text: str | None) -> str | None:
    """A SID as it is kept: its hex digits are of either case on the wire."""
    return text[:2] + text[2:].lower() if text is not None else None


def _lacking(form: Form) -> tuple[str, str] | None:
    """What the form asks for that is not there: its problem and the parameter."""
    for name, problem in REFUSED.items():
        if name in form and (name not in _FLAGS or is_true(form[name][0])):
            return problem, name
    return None


def _refuse_channel(to: str, from_: str | None) -> NoReturn:
    """Raises Refusal for an address of a channel, such as `whatsapp:+1…`: there is only SMS yet."""
    channel, address = channel_of(to)
    if not _is_address(channel, address):
        raise Refusal("to_invalid", number=mask(to))
    if from_ is None:  # of a service, which has no sender of a channel
        raise Refusal("channel_not_found")
    theirs, sender = channel_of(from_)
    if theirs not in (SMS, *CHANNELS) or ":" in sender:
        raise Refusal("from_invalid", number=mask(from_))
    if theirs != channel:
        raise Refusal("same_channel")
    raise Refusal("channel_same_address" if from_ == to else "channel_not_found")


def _is_address(channel: str, address: str) -> bool:
    """Messenger has ids of its own; the others have phone numbers."""
    if channel == "messenger":
        return bool(address)
    return channel in (SMS, *CHANNELS) and normalise(address) is not None
