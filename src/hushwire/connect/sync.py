"""Sync out: what is new, what changed and what went since the last time, as Singer messages.

Lists go from the newest down, and know no filter for what changed. So each run walks down to
where the last one began, and `lookback` further; of what it meets it tells what is new to it. A
message whose status may still change is read by its SID until it is final. What went is told as
a tombstone: from the list of them, where the backend has one; else from what is not found any
more, within the lookback.

Tombstones come before rows: a row is as it is now, and of one that was redacted the rest is told
again. A run that is cut off goes on from its last STATE; then some lines may come twice, and
none is missing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct, convert
from msgspec.structs import replace

from hushwire.connect.messages import message_of
from hushwire.connect.models import Account, Message
from hushwire.connect.refused import Refused
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import Connected, check_scopes
from hushwire.connect.singer import (
    Name,
    Row,
    record_line,
    schema_line,
    state_line,
)
from hushwire.connect.sync_config import Plan, clamp_of
from hushwire.connect.sync_rows import Rows
from hushwire.connect.sync_state import (
    AccountState,
    Mark,
    Scan,
    Seen,
    State,
    created_of,
    iso,
    kept,
    listed_of,
    seen_of,
    state_json,
    updated_of,
)
from hushwire.connect.tombstones import Tombstone, newest_place, pages_since

OVERLAP_S: Final = 60  # a message may show itself that much later than its date says

_ACCOUNTS: Final = "/2010-04-01/Accounts"
_MAY_NOT: Final = (401, 403)
_NOT_OURS: Final = (*_MAY_NOT, 404)
_BEYOND: Final = (400, 404)  # of a page whose token is not taken any more
_CUTS_MAX: Final = 10  # walks from the top, of one account
_GETS: Final = 100  # single messages between two lines of STATE
_NEVER: Final = 1 << 62  # Unix seconds


class Chunk(Struct, frozen=True):
    """Lines that belong together. Flush them before the next is asked for."""

    lines: bytes
    stream: Name | None = None
    rows: int = 0


class Note(Struct, frozen=True):
    """What whoever runs it should know."""

    text: str


Told = AsyncGenerator[Chunk | Note]


async def sync(connected: Connected, plan: Plan, state: State, now: datetime) -> Told:
    """All there is to tell since `state`. Each chunk of a page ends with a line of STATE.

    Raises Refused: what was told until then stays true, and its last STATE is where to go on.
    """
    for text in plan.notes:
        yield Note(text)
    yield Chunk(b"".join(schema_line(shape) for shape in plan.shapes.values()))
    run = _Run(connected, plan, state, now)
    async for told in run.accounts():
        yield told
    if "messages" in plan.shapes:
        async for told in run.messages():
            yield told
    yield run.chunk("messages", [])


class _Run:
    """One run: `state` is what was told so far."""

    def __init__(self, connected: Connected, plan: Plan, state: State, now: datetime) -> None:
        self.state = state
        self._connected = connected
        self._wire = connected.wire
        self._plan = plan
        self._extracted = iso(int(now.timestamp()))
        self._rows = Rows(plan, int(now.timestamp()))
        self._clamp = int(clamp_of(now).timestamp())
        self._sids: tuple[str, ...] = plan.account_sids or (connected.account_sid,)
        self._listed = False  # has the backend a list of tombstones?
        self._told_state = b""
        self._cut = False  # did the last walk end before its end?
        self._buried = set[str]()
        self._again: dict[str, str] = {}  # SID → account: told to be forgotten in part

    # -- lines ----------------------------------------------------------------------------

    def chunk(self, stream: Name, rows: list[Row], *, state: bool = True) -> Chunk:
        """Rows, and where to go on after them."""
        lines = b"".join(record_line(stream, row, self._extracted) for row in rows)
        if state and (place := state_line(state_json(self.state))) != self._told_state:
            lines += place
            self._told_state = place
        return Chunk(lines, stream, len(rows))

    # -- accounts -------------------------------------------------------------------------

    async def accounts(self) -> Told:
        """The accounts, and whose messages are to be read."""
        selected = "accounts" in self._plan.shapes
        if not selected and self._plan.account_sids is not None:
            return
        try:
            check_scopes(REGISTRY.find("list_accounts"), self._connected)
            found = [account async for account in self._all_accounts()]
        except Refused as problem:
            if problem.status not in _MAY_NOT:
                raise
            yield Note(f"accounts are left out, and subaccounts: {problem.text.rstrip('.')}")
            return
        if self._plan.account_sids is None and found:
            self._sids = tuple(account.sid for account in found)
        if selected:
            told = self.state.accounts
            rows = [
                self._rows.alive("accounts", account) for account in found
                if told.get(account.sid) != _version(account)
            ]  # fmt: skip
            present = {account.sid: _version(account) for account in found}
            rows += [
                self._rows.found_gone("accounts", sid, sid, "account")
                for sid in told if sid not in present
            ]  # fmt: skip
            self.state = replace(self.state, accounts=present)
            yield self.chunk("accounts", rows)

    async def _all_accounts(self) -> AsyncIterator[Account]:
        path: str | None = f"{_ACCOUNTS}.json?PageSize={self._plan.page_size}"
        while path is not None:
            answer = await self._wire.get(path)
            for record in answer["accounts"]:
                yield convert(record, Account, strict=False)
            path = _next(answer.get("next_page_uri"))

    # -- messages -------------------------------------------------------------------------

    async def messages(self) -> Told:
        """First what went, then what is there."""
        for action in ("list_messages", "retrieve_message"):
            check_scopes(REGISTRY.find(action), self._connected)
        place = None if self._wire.is_cloud else self.state.tombstones
        if place is None:
            place = await newest_place(self._wire, self._connected.account_sid)
            self._listed = place is not None
            self.state = replace(self.state, tombstones=place)
        else:
            self._listed = True
            async for page in pages_since(self._wire, self._connected.account_sid, place):
                place = page.after
                yield self.chunk("messages", list(self._bury(page.tombstones)), state=False)
        for account in self._sids:
            try:
                async for told in self._account(account):
                    yield told
            except Refused as problem:
                if problem.status not in _NOT_OURS or account == self._connected.account_sid:
                    raise
                yield Note(f"messages of {account} are left out: {problem.text.rstrip('.')}")
        async for told in self._tell_again():
            yield told
        # Not earlier: who is cut off before the rest of a redacted row was told, begins here.
        self.state = replace(self.state, tombstones=place)

    def _bury(self, tombstones: Iterable[Tombstone]) -> Iterable[Row]:
        for tombstone in tombstones:
            if tombstone.account_sid not in self._sids:
                continue
            if tombstone.is_whole:
                self._again.pop(tombstone.sid, None)
                self._buried.add(tombstone.sid)
            else:
                self._again[tombstone.sid] = tombstone.account_sid
            yield self._rows.gone("messages", tombstone)

    async def _account(self, account: str) -> Told:
        known = self.state.messages.get(account, AccountState())
        if known.top is not None and known.top[0] < self._clamp:
            yield Note(
                f"messages of {account} were synced until {iso(known.top[0])}: those from then "
                f"to {iso(self._clamp)} cannot be read any more"
            )
        if known.scan is not None:
            async for told in self._scan(account, known, known.scan):
                yield told
        for left in reversed(range(_CUTS_MAX)):
            known = self.state.messages.get(account, known)
            async for told in self._scan(account, known, None, may_be_cut=left > 0):
                yield told
            if not self._cut:
                return

    async def _scan(
        self, account: str, known: AccountState, scan: Scan | None, *, may_be_cut: bool = True
    ) -> Told:
        """Walk down the list; from its beginning, or on from where an earlier run was cut off.

        It is cut where a page begins after a message that is gone, and the backend finds its
        place by that alone: then it begins at the top again.
        """
        resumed, floor, met = scan is not None, self._floor(known), set[str]()
        query = f"Messages.json?PageSize={self._plan.page_size}"
        path: str | None = scan.next if scan is not None else f"{_ACCOUNTS}/{account}/{query}"
        seen = dict(known.seen)
        while path is not None:
            try:
                answer = await self._wire.get(path)
            except Refused as problem:
                if scan is None or not may_be_cut or problem.status not in _BEYOND:
                    raise
                self._cut = True
                self._keep(account, replace(known, seen=seen, scan=None))
                return
            found = [message_of(record) for record in answer["messages"]]
            scan = scan or _begin(found, known)
            met.update(message.sid for message in found)
            rows = [row for one in found for row in self._news(account, one, known, seen, scan)]
            path = _next(answer.get("next_page_uri"))
            if not found or listed_of(found[-1]) < floor:
                path = None
            if path is not None:
                going = replace(scan, next=path)
                self._keep(account, replace(known, seen=seen, scan=going))
            else:
                self._keep(account, self._finished(known, seen, scan))
            # A page without news need not be kept: to read it again tells nothing twice.
            yield self.chunk("messages", rows, state=bool(rows) or path is None)
        self._cut = False
        if not resumed:
            async for told in self._missing(account, known, met, floor):
                yield told

    def _news(
        self, account: str, message: Message, known: AccountState, seen: dict[str, Seen],
        scan: Scan,
    ) -> list[Row]:  # fmt: skip
        """What is to be told of a message that was met; `seen` learns of it."""
        if listed_of(message) < int(self._plan.start.timestamp()):
            return []
        is_told, now = seen.get(message.sid), self._seen(message, scan.top)
        if is_told is not None:
            is_news = is_told.version != now.version
        else:
            is_news = (
                known.since is None or known.top is None or now.updated >= known.since
                or _mark(message) > known.top
            )  # fmt: skip
        if is_told is not None or now.is_open or self._is_kept(now, scan):
            seen[message.sid] = now
        is_news = self._again.pop(message.sid, None) is not None or is_news
        return self._told(account, message, is_told, now) if is_news else []

    def _told(self, account: str, message: Message, is_told: Seen | None, now: Seen) -> list[Row]:
        rows = [self._rows.alive("messages", message)]
        if not self._listed and is_told is not None and is_told.has_text and not now.has_text:
            rows.insert(0, self._rows.found_gone("messages", account, message.sid, "content"))
        return rows

    # -- one by one -----------------------------------------------------------------------

    async def _missing(self, account: str, known: AccountState, met: set[str], floor: int) -> Told:
        """What was expected and not met: too old for the list, or gone."""
        expected = [
            sid for sid, was in known.seen.items()
            if sid not in met and (was.is_open or (not self._listed and was.created >= floor))
        ]  # fmt: skip
        for start in range(0, len(expected), _GETS):
            rows: list[Row] = []
            for sid in expected[start : start + _GETS]:
                rows += await self._look(account, sid, known.seen[sid])
            yield self.chunk("messages", rows)

    async def _look(self, account: str, sid: str, was: Seen) -> list[Row]:
        here = self.state.messages[account]
        seen = dict(here.seen)
        message = await self._fetch(account, sid)
        if message is None:
            seen.pop(sid, None)
            self._keep(account, replace(here, seen=seen))
            if self._listed or was.created < self._clamp:
                return []
            return [self._rows.found_gone("messages", account, sid, "message")]
        now = self._seen(message, here.top or (0, ""))
        seen[sid] = now
        if not now.is_open and now.updated < (here.since or 0):
            seen.pop(sid)
        self._keep(account, replace(here, seen=seen))
        is_news = self._again.pop(sid, None) is not None or now.version != was.version
        return self._told(account, message, was, now) if is_news else []

    async def _tell_again(self) -> Told:
        """The rest of rows that were redacted, and were not met in the list."""
        waiting = list(self._again.items())
        for start in range(0, len(waiting), _GETS):
            rows: list[Row] = []
            for sid, account in waiting[start : start + _GETS]:
                message = await self._fetch(account, sid)
                if message is not None:
                    rows.append(self._rows.alive("messages", message))
            yield self.chunk("messages", rows, state=False)

    async def _fetch(self, account: str, sid: str) -> Message | None:
        try:
            record = await self._wire.get(f"{_ACCOUNTS}/{account}/Messages/{sid}.json")
        except Refused as problem:
            if problem.status != 404:
                raise
            return None
        return message_of(record)

    # -- places ---------------------------------------------------------------------------

    def _floor(self, known: AccountState) -> int:
        """Where the walk down the list ends (Unix seconds)."""
        start = int(self._plan.start.timestamp())
        return start if known.top is None else max(start, self._behind(known.top))

    def _behind(self, top: Mark) -> int:
        return top[0] - int(self._plan.lookback.total_seconds())

    def _seen(self, message: Message, top: Mark) -> Seen:
        return seen_of(message, settled=self._behind(top))

    def _is_kept(self, seen: Seen, scan: Scan) -> bool:
        return seen.updated >= scan.until or seen.created >= self._remembered(scan)

    def _remembered(self, scan: Scan) -> int:
        """From when on finished messages are remembered: to miss them when they are gone."""
        return _NEVER if self._listed else self._behind(scan.top)

    def _finished(self, known: AccountState, seen: dict[str, Seen], scan: Scan) -> AccountState:
        top = scan.top if known.top is None else max(scan.top, known.top)
        since = max(scan.until, known.since or 0)
        alive = {sid: each for sid, each in seen.items() if sid not in self._buried}
        return AccountState(top, since, kept(alive, since, self._remembered(scan)))

    def _keep(self, account: str, content: AccountState) -> None:
        self.state = replace(self.state, messages={**self.state.messages, account: content})


def _begin(found: list[Message], known: AccountState) -> Scan:
    """A walk, from its first page. Nothing there was updated later than it was asked for, so
    what is updated later than the newest of it is for the next walk."""
    top = max((_mark(message) for message in found), default=known.top or (0, ""))
    until = max((updated_of(message) for message in found), default=0) - OVERLAP_S
    return Scan(top, max(until, 0), "")


def _mark(message: Message) -> Mark:
    return created_of(message), message.sid


def _version(account: Account) -> str:
    return f"{account.date_updated} {account.status}"


def _next(uri: str | None) -> str | None:
    """A page's URI without its host (W9)."""
    if not uri:
        return None
    parts = urlsplit(uri)
    return f"{parts.path}?{parts.query}"
