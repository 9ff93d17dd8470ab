"""What can be done with connections: add, list, open, test and remove them.

A connection is tested before it is stored. Nobody is shown its secrets again.
"""

from collections.abc import Callable, Mapping
from typing import Final

import httpx
from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.connect.connections import HERE, Wanted, read_new
from hushwire.connect.kinds import ACCOUNT, KINDS, Opening
from hushwire.connect.refused import INPUT, UNKNOWN, Refused, refused
from hushwire.connect.run import AUTHENTICATE, Connected
from hushwire.connect.wire import Credential, Wire
from hushwire.domain.account import Account
from hushwire.domain.connection import Connection, Secrets, texts_of
from hushwire.domain.sid import new_sid
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.store.owned import OwnedRecords

CONNECTIONS_MAX: Final = 100  # of an account
PREFIX: Final = "CX"  # our own: Twilio has no such thing
VIEW_KEY_BYTES: Final = 32

_FORBIDDEN: Final = 70051  # the credential is right, and may not do that

Keep = Callable[[Mapping[str, Private]], None]


class Here(Struct, frozen=True):
    """This server, reached from within by whoever asks."""

    url: str
    transport: httpx.AsyncBaseTransport


class Connections:
    """The actions on connections, for every door. `outside`: HTTP to other backends, guarded."""

    def __init__(
        self, owned: OwnedRecords, guard: Guard, clock: Clock, entropy: Entropy,
        outside: httpx.AsyncBaseTransport,
    ) -> None:  # fmt: skip
        self._owned = owned
        self._guard = guard
        self._clock = clock
        self._entropy = entropy
        self._outside = outside
        self._credentials: dict[str, Credential] = {}  # by SID: they may hold what they fetched

    def list(self, account: Account) -> list[Connection]:
        """The account's, newest first."""
        return self._owned.of(Connection, account.id)

    def find(self, account: Account, name: str) -> Connection:
        """The account's connection of that name. Raises Refused (404) when there is none."""
        found = self._named(account, name)
        if found is None:
            known = ", ".join(sorted(each.name for each in self.list(account)))
            cure = f"there are {known}" if known else "there is none yet, add it"
            raise refused(UNKNOWN, f"there is no connection {name!r:.70}: {cure}",
                          field="connection")  # fmt: skip
        return found

    async def add(self, account: Account, given: Mapping[str, object], here: Here) -> Connection:
        """Read, test and store a connection; durable when this returns.

        Raises Refused, and nothing is stored: for a field that is wrong, a name that is taken
        (409), a credential that the backend does not take (401/20003), a backend that does not
        answer (503).
        """
        wanted = read_new(given)
        self._check(account, wanted)
        connection, renewed = self._record(account, wanted), dict[str, Private]()
        credential = self._credential(connection, here, renewed.update)
        await self._probe(connection, self._connected(connection, here, credential))
        self._check(account, wanted)  # somebody else may have been faster
        secrets = {**connection.secrets.reveal(), **renewed}
        connection = _with(connection, secrets)
        self._owned.put(connection)
        return connection

    async def test(self, connection: Connection, here: Here) -> None:
        """Ask the backend something cheap. Raises Refused when the connection does not work."""
        await self._probe(connection, self.open(connection, here))

    def remove(self, connection: Connection) -> None:
        """Forget it, with its secrets."""
        self._owned.delete(connection)
        self._credentials.pop(connection.sid, None)

    def open(self, connection: Connection, here: Here) -> Connected:
        """What actions run through. Close its wire."""

        def keep(renewed: Mapping[str, Private]) -> None:
            known = self._owned.get(Connection, connection.account_id, connection.sid)
            if known is not None:
                self._owned.put(_with(known, {**known.secrets.reveal(), **renewed}))

        credential = self._credentials.get(connection.sid)
        if credential is None:
            credential = self._credential(connection, here, keep)
            self._credentials[connection.sid] = credential
        return self._connected(connection, here, credential)

    # -- parts ----------------------------------------------------------------------------

    def _named(self, account: Account, name: str) -> Connection | None:
        return next((each for each in self.list(account) if each.name == name), None)

    def _check(self, account: Account, wanted: Wanted) -> None:
        """What may not be added. Raises Refused."""
        if self._named(account, wanted.name) is not None:
            text = f"name {wanted.name!r} is taken: choose another, or remove that connection"
            raise Refused(20409, 409, text, field="name")
        if len(self.list(account)) >= CONNECTIONS_MAX:
            raise refused(INPUT, f"an account has {CONNECTIONS_MAX} connections at most")
        reason = self._guard.check_syntax(f"{wanted.url}/") if wanted.url != HERE else None
        if reason is not None:
            raise refused(
                INPUT, f"url may not be called ({reason}): give the public address of a Hushwire "
                "server, or twilio", field="url",
            )  # fmt: skip

    def _record(self, account: Account, wanted: Wanted) -> Connection:
        now_ms = self._clock.now_ms()
        shown = {field.name for field in wanted.kind.fields if field.type == "text"}
        return Connection(
            sid=new_sid(PREFIX, self._entropy.bytes(16)), account_id=account.id,
            created_ms=now_ms, updated_ms=now_ms, name=wanted.name, url=wanted.url,
            kind=wanted.kind.name, backend_sid=wanted.backend_sid,
            shown=texts_of({n: v for n, v in wanted.values.items() if n in shown}),
            secrets=Secrets(
                texts_of({n: v for n, v in wanted.values.items() if n not in shown}),
                self._entropy.bytes(VIEW_KEY_BYTES),
            ),
            scopes=wanted.scopes, view=wanted.view, profile=wanted.profile,
        )  # fmt: skip

    def _credential(self, connection: Connection, here: Here, keep: Keep) -> Credential:
        shown = {name: Private(text) for name, text in connection.shown.items()}
        values = {**shown, **connection.secrets.reveal()}
        url, transport = self._backend(connection, here)
        return KINDS[connection.kind].open(Opening(url, values, transport, keep))

    def _connected(self, connection: Connection, here: Here, credential: Credential) -> Connected:
        url, transport = self._backend(connection, here)
        return Connected(
            Wire(url, credential, transport=transport), connection.backend_sid, connection.name,
            None if connection.scopes is None else frozenset(connection.scopes), connection.view,
            connection.secrets.view_key, connection.profile,
        )  # fmt: skip

    def _backend(self, connection: Connection, here: Here) -> tuple[str, httpx.AsyncBaseTransport]:
        own = connection.url == HERE
        return (here.url, here.transport) if own else (connection.url, self._outside)

    async def _probe(self, connection: Connection, connected: Connected) -> None:
        path = KINDS[connection.kind].probe.format(sid=connection.backend_sid)
        try:
            await connected.wire.get(path)
        except Refused as problem:
            if problem.code != _FORBIDDEN:
                raise _told(problem, connection) from None
        finally:
            await connected.wire.close()


def _with(connection: Connection, secrets: Mapping[str, Private]) -> Connection:
    return replace(connection, secrets=Secrets(texts_of(secrets), connection.secrets.view_key))


def _told(problem: Refused, connection: Connection) -> Refused:
    """A refusal of the backend, in words that name what was given."""
    names = " and ".join(field.name for field in KINDS[connection.kind].fields)
    if problem.code == AUTHENTICATE:
        text = f"the backend does not accept {names} together: copy them from that account again"
        return Refused(AUTHENTICATE, 401, text, field="credential")
    if problem.status == 404:
        text = f"the backend has no account of that {ACCOUNT} for these credentials"
        return refused(INPUT, text, field=f"credential.{ACCOUNT}")
    return problem
