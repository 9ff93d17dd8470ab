"""Cookies of inbound webhooks: one jar for each conversation (twilio-messaging 6.4).

An app tells apart who texts it by its session cookie, so a jar belongs to an account and a pair
of numbers. It is emptied four hours after its last use. A cookie goes back only to the scheme,
host and port that set it, below its path (RFC 6265, 5.1.4); `Domain` widens nothing.

In memory only, and bounded: when there is too much, the account that has most loses its oldest
jar. No number is kept: a jar is found by a keyed hash of both.
"""

import re
from collections import OrderedDict
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.outbound import Answer
from hushwire.outbound.url import Url, parse_url
from hushwire.private import Private

IDLE_MS: Final = 4 * 3_600_000
COOKIES_MAX: Final = 20  # of one jar
JAR_MAX: Final = 4_096  # bytes of its names, values and paths
BYTES_MAX: Final = 4 * 1024 * 1024  # of all jars
_JAR_BYTES: Final = 256  # what a jar costs besides
_WORD: Final = re.compile(r"[!-:<-~](?:[ !-:<-~]*[!-:<-~])?\Z")  # no control, no semicolon
_NEVER: Final = 1 << 62

_Place = tuple[str, str, int, str, str]  # scheme, host, port, path, name


class _Cookie(Struct, frozen=True, gc=False):
    value: str
    until_ms: int


class _Jar(Struct):
    until_ms: int
    cookies: OrderedDict[_Place, _Cookie]
    size: int = _JAR_BYTES


class Cookies:
    """The jars of all conversations of this process."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._key = entropy.bytes(32)
        self._jars: dict[int, OrderedDict[bytes, _Jar]] = {}  # by account, the last used last
        self._sizes: dict[int, int] = {}
        self._size = 0

    def of(
        self, account_id: int, from_: Private, to: Private, idle_ms: int = IDLE_MS
    ) -> "Conversation":
        """The jar of a conversation; `idle_ms`: how long it lasts without use."""
        both = f"{account_id} {from_.reveal()} {to.reveal()}".encode()
        tag = blake2b(both, digest_size=16, key=self._key).digest()
        return Conversation(self, account_id, tag, min(idle_ms, IDLE_MS))

    def size(self) -> int:
        """How many bytes all jars hold, about."""
        return self._size

    def send(self, account_id: int, tag: bytes, url: str, idle_ms: int) -> str:
        """The value of the Cookie header for `url`, or ""."""
        at, now_ms = parse_url(url), self._clock.now_ms()
        jar = self._live(account_id, tag, now_ms)
        if jar is None or isinstance(at, str):
            return ""
        jar.until_ms = now_ms + idle_ms
        path = at.target.partition("?")[0]
        fit = [
            (place, cookie) for place, cookie in jar.cookies.items()
            if place[:3] == (at.scheme, at.host, at.port) and _is_below(path, place[3])
            and cookie.until_ms > now_ms
        ]  # fmt: skip
        fit.sort(key=lambda found: -len(found[0][3]))  # the nearer path first
        return "; ".join(f"{place[4]}={cookie.value}" for place, cookie in fit)

    def take(self, account_id: int, tag: bytes, url: str, answer: Answer, idle_ms: int) -> None:
        """Keep what `answer`, of `url`, asks to be kept. What is malformed is ignored."""
        at, now_ms = parse_url(url), self._clock.now_ms()
        set_ = answer.header("set-cookie")
        if not set_ or isinstance(at, str) or idle_ms <= 0:
            return
        jar = self._live(account_id, tag, now_ms)
        if jar is None:
            jar = _Jar(now_ms + idle_ms, OrderedDict())
            self._jars.setdefault(account_id, OrderedDict())[tag] = jar
            self._grow(account_id, jar.size)
        before = jar.size
        for line in set_.split("\n"):
            _put(jar, line, at, now_ms)
        self._grow(account_id, jar.size - before)
        if not jar.cookies:
            self._drop(account_id, tag)
        while self._size > BYTES_MAX:
            most = max(self._sizes, key=self._sizes.__getitem__)
            self._drop(most, next(iter(self._jars[most])))

    def _live(self, account_id: int, tag: bytes, now_ms: int) -> _Jar | None:
        """That jar, as the last used of its account. Those before it that are over go."""
        jars = self._jars.get(account_id)
        while jars and (oldest := next(iter(jars.items())))[1].until_ms <= now_ms:
            self._drop(account_id, oldest[0])
        jar = jars.get(tag) if jars else None
        if jar is None or jars is None:
            return None
        if jar.until_ms <= now_ms:
            self._drop(account_id, tag)
            return None
        jars.move_to_end(tag)
        return jar

    def _drop(self, account_id: int, tag: bytes) -> None:
        jars = self._jars[account_id]
        self._grow(account_id, -jars.pop(tag).size)
        if not jars:
            del self._jars[account_id], self._sizes[account_id]

    def _grow(self, account_id: int, by: int) -> None:
        self._size += by
        self._sizes[account_id] = self._sizes.get(account_id, 0) + by


class Conversation(Struct, frozen=True):
    """The jar of one account and pair of numbers."""

    jars: Cookies
    account_id: int
    tag: bytes
    idle_ms: int

    def header(self, url: str) -> str:
        """The value of the Cookie header for `url`, or ""."""
        return self.jars.send(self.account_id, self.tag, url, self.idle_ms)

    def take(self, url: str, answer: Answer) -> None:
        """Keep what `answer`, of `url`, asks to be kept."""
        self.jars.take(self.account_id, self.tag, url, answer, self.idle_ms)


def _put(jar: _Jar, line: str, at: Url, now_ms: int) -> None:
    """One Set-Cookie line. Beyond the limits of a jar, what was set first goes."""
    pair, *rest = line.split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    given = {key.strip().lower(): text.strip() for key, _, text in (a.partition("=") for a in rest)}
    path = given.get("path", "")
    if not path.startswith("/"):  # RFC 6265, 5.1.4: that of the URL up to its last slash
        path = at.target.partition("?")[0].rpartition("/")[0] or "/"
    if not equals or not _WORD.match(name) or (value and not _WORD.match(value)):
        return
    place: _Place = (at.scheme, at.host, at.port, path, name)
    old = jar.cookies.pop(place, None)
    if old is not None:
        jar.size -= _bytes(place, old)
    cookie = _Cookie(value, _until_ms(given, now_ms))
    if cookie.until_ms <= now_ms or _bytes(place, cookie) > JAR_MAX:
        return
    jar.cookies[place] = cookie
    jar.size += _bytes(place, cookie)
    while len(jar.cookies) > COOKIES_MAX or jar.size > JAR_MAX + _JAR_BYTES:
        jar.size -= _bytes(*jar.cookies.popitem(last=False))


def _bytes(place: _Place, cookie: _Cookie) -> int:
    return len(place[3]) + len(place[4]) + len(cookie.value)


def _until_ms(given: dict[str, str], now_ms: int) -> int:
    """When a cookie ends (Unix ms); Max-Age goes before Expires (RFC 6265, 5.3)."""
    age = given.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,10}", age):
        return now_ms + int(age) * 1000
    if "expires" in given:
        try:
            return int(parsedate_to_datetime(given["expires"]).timestamp() * 1000)
        except (ValueError, OverflowError):
            return _NEVER
    return _NEVER


def _is_below(path: str, base: str) -> bool:
    return path == base or path.startswith(base if base.endswith("/") else f"{base}/")
