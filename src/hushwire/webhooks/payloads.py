"""What a status callback carries (twilio-messaging 6.3).

Two texts of the same fields in one fixed, sorted order: joined for the signature, and
form-encoded for the wire.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus

API_VERSION: Final = "2010-04-01"
CONTENT_TYPE: Final = "application/x-www-form-urlencoded; charset=UTF-8"
_WITH_ERROR: Final = frozenset(("failed", "undelivered"))
_WITH_DATE: Final = frozenset(("delivered", "undelivered"))


def status_form(
    *,
    sid: str,
    account_sid: str,
    status: str,
    from_: str,
    to: str,
    error_texts: Mapping[int, str],
    error_code: int | None = None,
    done_date: str | None = None,
    service_sid: str | None = None,
) -> tuple[str, bytes]:
    """The fields of a status callback: joined as they are signed, and as a form body.

    `sid`, `account_sid`, `service_sid` and `status` are our own words and need no quoting;
    `from_`, `to` and `done_date` (the receipt's YYMMDDhhmm) are free text. `error_code` goes
    with failed and undelivered only, with its text of `error_texts` when there is one;
    `done_date` with delivered and undelivered only. The parts are private: never logged.
    """
    error = error_form = service = service_form = date = date_form = ""
    if error_code is not None and status in _WITH_ERROR:
        error, error_form = _error_fields(error_code, error_texts.get(error_code))
    if service_sid is not None:
        service = f"MessagingServiceSid{service_sid}"
        service_form = f"&MessagingServiceSid={service_sid}"
    if done_date is not None and status in _WITH_DATE:
        date = f"RawDlrDoneDate{done_date}"
        date_form = f"&RawDlrDoneDate={_quoted(done_date)}"
    joined = (
        f"AccountSid{account_sid}ApiVersion{API_VERSION}{error}From{from_}MessageSid{sid}"
        f"MessageStatus{status}{service}{date}SmsSid{sid}SmsStatus{status}To{to}"
    )
    form = (
        f"AccountSid={account_sid}&ApiVersion={API_VERSION}{error_form}&From={_quoted(from_)}"
        f"&MessageSid={sid}&MessageStatus={status}{service_form}{date_form}"
        f"&SmsSid={sid}&SmsStatus={status}&To={_quoted(to)}"
    )
    return joined, form.encode("ascii")


@lru_cache(maxsize=512)  # the table of codes is fixed and not private
def _error_fields(code: int, text: str | None) -> tuple[str, str]:
    if text is None:
        return f"ErrorCode{code}", f"&ErrorCode={code}"
    joined = f"ErrorCode{code}ErrorMessage{text}"
    return joined, f"&ErrorCode={code}&ErrorMessage={quote_plus(text)}"


def _quoted(text: str) -> str:
    """`text` for a form; what is nearly always there (E.164) without a general quoter."""
    digits = text[1:]
    if digits.isdigit() and digits.isascii() and text[0] == "+":
        return "%2B" + digits
    return quote_plus(text)
