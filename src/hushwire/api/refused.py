"""What an action refuses, as an answer: Twilio's four keys, and the field that is to blame."""

from math import ceil

from msgspec import DecodeError, json
from starlette.responses import Response

from hushwire.api.door import answer
from hushwire.connect.refused import INPUT, Refused, refused


def told(problem: Refused) -> Response:
    """The answer to it."""
    response = answer(problem.status, problem.body())
    if problem.retry_after_s is not None:
        response.headers["Retry-After"] = str(ceil(problem.retry_after_s))
    return response


def object_of(content: bytes) -> dict[str, object]:
    """A body as a JSON object. Raises Refused when it is none."""
    try:
        return json.decode(content, type=dict[str, object])
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise refused(INPUT, "the body of the request must be a JSON object") from None
