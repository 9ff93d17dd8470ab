"""What keeps an action from being done: one sentence, with Twilio's code and the field."""

from typing import Final

from msgspec import Struct

MORE_INFO: Final = "https://www.twilio.com/docs/errors/"


class Refused(Exception):
    """An action that was not done. Nobody's fault: what the caller asked cannot be, or may not.

    `status` is HTTP's; `field` names the input that is to blame, if one is. The text holds no
    number and no body; those of the backend are its own.
    """

    def __init__(
        self, code: int, status: int, text: str, *, field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(text)
        self.code = code
        self.status = status
        self.text = text
        self.field = field
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        """Twilio's four keys, and the field."""
        return {
            "code": self.code, "message": self.text, "more_info": f"{MORE_INFO}{self.code}",
            "status": self.status, "field": self.field,
        }  # fmt: skip


class Kind(Struct, frozen=True):
    """A refusal of our own: Twilio's code for it, and its HTTP status."""

    code: int
    status: int


INPUT: Final = Kind(20001, 400)  # a field that is missing, unknown or wrong
SCOPE: Final = Kind(70051, 403)  # the connection may not
UNKNOWN: Final = Kind(20404, 404)  # no such action or connection
UNREACHABLE: Final = Kind(20503, 503)  # the backend did not answer
UNSURE: Final = Kind(20504, 504)  # it may have been sent, and nobody can tell


def refused(
    kind: Kind, text: str, *, field: str | None = None, retry_after_s: float | None = None
) -> Refused:
    """`Refused` of that kind."""
    return Refused(kind.code, kind.status, text, field=field, retry_after_s=retry_after_s)
