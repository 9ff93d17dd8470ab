"""Connection overrides: the fragment of a webhook URL (twilio-messaging 6.5).

`https://example.com/status#rc=2&rp=all&ct=2000` asks for two retries of whatever fails and
2 seconds to connect. The fragment is neither sent nor signed.
"""

from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct

from hushwire.outbound import Answer, Failure, Limits

Policy = Literal["4xx", "5xx", "ct", "rt", "all"]
"""What is retried: answers of that class, no connection, no answer in time, anything."""

_POLICIES: Final[dict[str, Policy]] = {
    "4xx": "4xx",
    "5xx": "5xx",
    "ct": "ct",
    "rt": "rt",
    "all": "all",
}
_MS: Final = (100, 15000)
_RANGES: Final = {"ct": (100, 10000), "rt": _MS, "tt": _MS, "rc": (0, 5)}
BAD_EDGE: Final = 11240
BAD_POLICY: Final = 11243
_EDGES: Final = frozenset((
    "ashburn", "dublin", "frankfurt", "sao-paulo", "singapore", "sydney", "tokyo", "umatilla",
))  # fmt: skip
_CONNECT: Final = frozenset(("resolve", "connect", "tls", "timeout_connect"))
_READ: Final = frozenset(("timeout_read", "timeout_total"))


class Overrides(Struct, frozen=True):
    """How one webhook is called. The defaults are Twilio's."""

    limits: Limits = Limits()
    retries: int = 1
    policy: frozenset[Policy] = frozenset(("ct",))
    problem: int | None = None  # alert: what the fragment asks for and nobody knows

    def retries_on(self, result: Answer | Failure) -> bool:
        """Does the policy ask for another attempt after `result`, retries permitting?

        Never after a 2xx or 3xx, a refusal by our own guard, or a partial answer.
        """
        policy = self.policy
        if isinstance(result, Answer):
            if result.status < 400:
                return False
            return "all" in policy or ("4xx" if result.status < 500 else "5xx") in policy
        if result.partial or result.kind == "refused_by_guard":
            return False
        if "all" in policy:
            return True
        if result.kind in _CONNECT:
            return "ct" in policy
        return result.kind in _READ and "rt" in policy


DEFAULTS: Final = Overrides()


def split(url: str) -> tuple[str, Overrides]:
    """The URL without its fragment, and what the fragment asks for.

    Keys unknown or without effect here (`e`, `sni`) are ignored; a value that is out of range,
    or no value at all, leaves the default; of a policy or an edge that nobody knows, `problem` has
    the alert.
    """
    base, _, fragment = url.partition("#")
    return base, parse_overrides(fragment) if fragment else DEFAULTS


@lru_cache(maxsize=512)  # by the fragment alone: the URL may say something about a person
def parse_overrides(fragment: str) -> Overrides:
    """What a fragment (without `#`) asks for. Of a repeated key the first counts."""
    given: dict[str, str] = {}
    for pair in fragment.split("&"):
        key, _, value = pair.partition("=")
        given.setdefault(unquote(key), unquote(value))
    limits = DEFAULTS.limits
    words = given.get("rp", "").split(",")
    policy: frozenset[Policy] = frozenset({_POLICIES[word] for word in words if word in _POLICIES})
    known = all(word in _POLICIES for word in words)
    return Overrides(
        limits=Limits(
            connect_ms=_number(given, "ct", limits.connect_ms),
            read_ms=_number(given, "rt", limits.read_ms),
            total_ms=_number(given, "tt", limits.total_ms),
        ),
        retries=_number(given, "rc", DEFAULTS.retries),
        policy=policy if known else DEFAULTS.policy,
        problem=BAD_POLICY if "rp" in given and not known else _edge_problem(given.get("e")),
    )


def _edge_problem(edges: str | None) -> int | None:
    named = [] if edges is None else edges.split(",")
    return None if all(edge.removesuffix("-ix") in _EDGES for edge in named) else BAD_EDGE


def _number(given: dict[str, str], key: str, default: int) -> int:
    low, high = _RANGES[key]
    text = given.get(key, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 5:
        return default
    return int(text) if low <= int(text) <= high else default
