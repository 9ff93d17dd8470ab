"""Alerts: what went wrong for an account, as Twilio's Monitor shows it (twilio-messaging 9.1).

Levels and titles are in `alert_table`. An alert outlives the message it is about, so it
holds nothing of one: of a URL what `origin` or `without_query` leaves, of a form the names and
the sizes of its fields, of an answer its size.
"""

from typing import Final, get_args
from urllib.parse import quote_plus, urlsplit

from hushwire.domain.alert_table import KINDS, LogLevel
from hushwire.domain.entry import Entry

LOG_LEVELS: Final[dict[str, LogLevel]] = {level: level for level in get_args(LogLevel)}
WITHOUT_EFFECT: Final = 20001  # a parameter was given that has no effect here (D11)
SOURCE: Final = "12000"  # Twilio's number of the component that calls webhooks


class Alert(Entry, frozen=True, kw_only=True):
    """Something went wrong. `subject` is the SID of the resource, often a message's."""

    code: int
    level: LogLevel
    count: int = 1  # how many it stands for: since the last of its kind, at most one a minute
    service_sid: str | None = None
    url: str | None = None  # see `origin`
    method: str | None = None
    http_status: int | None = None
    detail: str | None = None  # our own words, such as the name of a parameter
    sent: tuple[tuple[str, int], ...] = ()  # names and sizes, in characters, of a form's fields
    answered_bytes: int | None = None  # size of the answer's body


def message_of(alert: Alert) -> str:
    """What happened, in one sentence without anything private."""
    _, title = KINDS[alert.code]
    parts = [f"{title}: {alert.detail}" if alert.detail else title]
    if alert.http_status is not None:
        parts.append(f"HTTP status {alert.http_status}")
    if alert.count > 1:
        parts.append(f"{alert.count} times")
    return "; ".join(parts)


def fields_of(alert: Alert) -> dict[str, str]:
    """What Twilio's debugger says of an alert, name → value."""
    fields = {
        "Msg": message_of(alert),
        "sourceComponent": SOURCE,
        "ErrorCode": str(alert.code),
        "LogLevel": alert.level.upper(),
    }
    if alert.http_status is not None:
        fields["httpResponse"] = str(alert.http_status)
    if alert.url is not None:
        fields["url"] = alert.url
    if alert.count > 1:
        fields["count"] = str(alert.count)
    return fields


def text_of(alert: Alert) -> str:
    """`alert_text`: the same, URL-encoded."""
    return "&".join(f"{name}={quote_plus(value)}" for name, value in fields_of(alert).items())


def sizes_of(form: bytes) -> tuple[tuple[str, int], ...]:
    """Names of a form's fields, and how long their values are as they are sent."""
    pairs = (field.partition("=") for field in form.decode("ascii", "replace").split("&"))
    return tuple((name, len(value)) for name, _, value in pairs)


def origin(url: str) -> str:
    """Scheme, host and port: what may be kept of a URL that came with a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"


def without_query(url: str) -> str:
    """A URL of an account's own settings, without credentials, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


# What an outbound request that got no answer is called (twilio-messaging 3.6).
_FAILURES: Final = {
    "connect": 11205, "closed": 11205, "resolve": 11210, "refused_by_guard": 11210,
    "timeout_connect": 11201, "timeout_read": 11200, "timeout_total": 11203,
    "protocol": 11206, "too_large": 11206, "redirects": 11215, "tls": 11220,
}  # fmt: skip


_DETAILS: Final = {
    ("connect", "refused"): 11202, ("tls", "host"): 11235, ("tls", "expired"): 11236,
    ("tls", "untrusted"): 11237,
}  # fmt: skip


def code_of_failure(word: str, detail: str = "") -> int:
    """The code for the outcome of a request: a failure's word, or any other for an answer."""
    return _DETAILS.get((word, detail)) or _FAILURES.get(word, 11200)
