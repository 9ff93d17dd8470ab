"""What an inbound webhook carries (twilio-messaging 6.1), and how it is signed."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from hushwire.domain.address import country_of
from hushwire.domain.incoming import Method, asked_for
from hushwire.domain.message import Message
from hushwire.outbound.url import parse_url
from hushwire.webhooks.payloads import API_VERSION, CONTENT_TYPE
from hushwire.webhooks.signature import Signer

Params = Mapping[str, str]
Medium = tuple[str, str]  # URL and content type

_PLACES: Final = ("City", "State", "Zip")  # no numbering plan tells them: always empty


class Request(Struct, frozen=True):
    """A webhook request as it goes out. Private, all of it: never logged."""

    method: Method
    url: str
    query: str  # what a GET appends to it
    headers: dict[str, str]
    body: bytes
    form: bytes  # the parameters, whichever way they go


def inbound_params(message: Message, account_sid: str, media: Sequence[Medium] = ()) -> Params:
    """The parameters of an inbound message, name → value. It must hold its body and numbers."""
    assert message.from_ is not None
    assert message.to is not None
    assert message.body is not None
    from_, to, sid = message.from_.reveal(), message.to.reveal(), message.sid
    params = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": account_sid,
        "From": from_,
        "To": to,
        "Body": message.body.reveal().encode("utf-8", "replace").decode(),  # half an emoji: "?"
        "NumMedia": str(len(media)),
        "NumSegments": str(message.segments),
        "SmsStatus": "received",
        "ApiVersion": API_VERSION,
        **_geography("From", from_),
        **_geography("To", to),
    }
    if message.service is not None:
        params["MessagingServiceSid"] = message.service
    asked = asked_for(message)
    if asked is not None:
        params["OptOutType"] = asked.value
    for n, (url, content_type) in enumerate(media):
        params[f"MediaUrl{n}"] = url
        params[f"MediaContentType{n}"] = content_type
    return params


def action_params(params: Params, sid: str) -> Params:
    """What the `action` of a `<Message>` hears: the reply's SID and status, and all the rest."""
    return {**params, "MessageSid": sid, "SmsSid": sid, "MessageStatus": "queued",
            "SmsStatus": "queued"}  # fmt: skip


def request_of(
    method: Method, url: str, params: Params, auth_token: str, token: str
) -> Request | None:
    """The signed request that carries `params` to `url`, which has no fragment.

    `token` is the same at every attempt of one webhook. Signed is the URL as its server sees
    it, with a path whatever was written. None: it is no URL that can be called.
    """
    base = url.rstrip("?")
    at = parse_url(base)
    if isinstance(at, str):
        return None
    form = urlencode(params)
    headers = {"I-Twilio-Idempotency-Token": token}
    if method == "GET":
        seen = f"{at.text()}{'&' if '?' in at.target else '?'}{form}"
        headers["X-Twilio-Signature"] = Signer(auth_token).sign_text(seen, "")
        return Request("GET", base, form, headers, b"", form.encode("ascii"))
    joined = "".join(name + value for name, value in sorted(params.items()))
    headers["Content-Type"] = CONTENT_TYPE
    headers["X-Twilio-Signature"] = Signer(auth_token).sign_text(at.text(), joined)
    body = form.encode("ascii")
    return Request("POST", base, "", headers, body, body)


def _geography(side: str, address: str) -> dict[str, str]:
    """Where a number is from, as far as its plan tells. A short code's digits do not."""
    country = country_of(address) if address.startswith("+") else None
    return {**{f"{side}{place}": "" for place in _PLACES}, f"{side}Country": country or ""}
