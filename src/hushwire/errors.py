"""Errors by whose turn it is, and the tables of Twilio's codes.

`errors.toml` is what the API answers; `delivery.toml` is what is stored on a message.

What the world does is a value (`carriers.base.Outcome`). What a caller may not do is a
`Refusal`; `Unavailable` asks to come back later; `Misconfigured` refuses to start and names
the cure; `Defect` is our bug.
"""

import tomllib
from importlib.resources import files
from typing import Any, Final

from msgspec import Struct, convert

MORE_INFO = "https://www.twilio.com/docs/errors/"


class Problem(Struct, frozen=True):
    """A row of `errors.toml`: what one named problem looks like on the wire."""

    name: str
    code: int
    status: int  # HTTP
    message: str  # may hold {placeholders}
    when: str  # for people: what causes it


def _table(file: str) -> dict[str, Any]:
    return tomllib.loads(files("hushwire").joinpath(file).read_text(encoding="utf-8"))


PROBLEMS: Final = {
    name: convert({"name": name, **row}, Problem) for name, row in _table("errors.toml").items()
}
DELIVERY_TEXTS: Final[dict[int, str]] = {
    int(code): text for code, text in _table("delivery.toml").items()
}


def error_text(code: int) -> str | None:
    """The text beside a code stored on a message (`error_message`), or None if it has none."""
    return DELIVERY_TEXTS.get(code)


class Refusal(Exception):
    """A caller asked for what may not be done. `name` is a key of `errors.toml`.

    Arguments fill the message's placeholders; numbers among them must be masked first.
    """

    def __init__(self, name: str, **facts: object) -> None:
        self.problem = PROBLEMS[name]
        self.text = self.problem.message.format(**facts)
        super().__init__(f"{self.problem.code} {name}")

    def body(self) -> dict[str, object]:
        """Twilio's error object."""
        problem = self.problem
        return {
            "code": problem.code,
            "message": self.text,
            "more_info": f"{MORE_INFO}{problem.code}",
            "status": problem.status,
        }


class Unavailable(Refusal):
    """Not now: nothing was done and the caller may come back after `retry_after_s`."""

    def __init__(self, name: str, retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(name, **facts)
        self.retry_after_s = retry_after_s


class Misconfigured(Exception):
    """The server cannot start as configured. The text names the setting and the cure."""


class Defect(Exception):
    """Our bug: an invariant that did not hold."""
