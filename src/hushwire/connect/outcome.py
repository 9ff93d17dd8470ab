"""One logical send, once: what to do when nobody knows whether it was accepted.

A Hushwire server knows an idempotency key, so that a repetition is answered with the first one's
message. Twilio's cloud knows none: there the newest messages to that recipient are looked at
before anything is sent again, and a message like it that is younger than the attempt is it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import uuid4

from hushwire.connect.refused import UNSURE, Refused, refused
from hushwire.connect.registry import Call
from hushwire.connect.wire import OutcomeUnknown, Record

WAITS_S: Final = (1.0, 4.0, 10.0)  # before each look: an accepted message may appear late
_SKEW: Final = timedelta(seconds=5)  # between the backend's clock and this one's

Form = Mapping[str, str | list[str]]


async def send_once(call: Call, path: str, form: Form) -> Record:
    """Create a message; when the outcome is unknown, find out before any repetition.

    Raises Refused (504) when it cannot be found out: it may have been sent.
    """
    key = call.key or str(uuid4())
    began = datetime.now(UTC)
    try:
        return await call.wire.post(path, form, key=key)
    except OutcomeUnknown:
        pass
    for wait_s in WAITS_S:
        await call.wire.pause(wait_s)
        try:
            if not call.wire.is_cloud:  # the key makes it one send, however often it is asked for
                return await call.wire.post(path, form, key=key)
            found = await _look(call, path, form, began)
        except OutcomeUnknown:
            continue
        except Refused as problem:
            if problem.status != 429 and problem.status < 500:
                raise
            continue  # that it is not answered now says nothing of the first time
        if found is not None:
            return found
    raise refused(
        UNSURE,
        "the connection broke and nobody knows whether the message was accepted: look for it "
        "in the list before you send it again",
    )


async def _look(call: Call, path: str, form: Form, began: datetime) -> Record | None:
    """The message among the newest to its recipient, if it is there by now."""
    page = await call.wire.get(path, {"To": str(form["To"]), "PageSize": "50"})
    for record in page["messages"]:
        made = parsedate_to_datetime(record["date_created"])
        if made >= began - _SKEW and _same(record, form):
            return record
    return None


def _same(record: Record, form: Form) -> bool:
    said = {"body": "Body", "from": "From", "messaging_service_sid": "MessagingServiceSid"}
    return record["direction"] == "outbound-api" and all(
        record[name] == form[parameter] for name, parameter in said.items() if parameter in form
    )
