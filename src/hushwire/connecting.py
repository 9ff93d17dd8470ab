"""The parts that connect: connections, the actions that run through them, and their HTTP doors."""

from collections.abc import Callable

from starlette.routing import Route

from hushwire.actions.connections import Connections
from hushwire.api.actions import ActionResource
from hushwire.api.auth import Authenticator
from hushwire.api.connections import Asgi, ConnectionResource, Inside
from hushwire.api.door import Door
from hushwire.api.wire import Scope
from hushwire.clock import Clock, Entropy
from hushwire.connect.guarded import GuardedTransport
from hushwire.outbound import Guard
from hushwire.store.owned import OwnedRecords


class Connecting:
    """Make it on the loop that serves; close it."""

    def __init__(self, owned: OwnedRecords, guard: Guard, clock: Clock, entropy: Entropy) -> None:
        self._outside = GuardedTransport(guard)
        self.connections = Connections(owned, guard, clock, entropy, self._outside)

    def close(self) -> None:
        self._outside.close()

    def routes(self, door: Door, auth: Authenticator, base: Callable[[Scope], str]) -> list[Route]:
        """Of an application that `serve` must be told of."""
        self._inside = inside = Inside(auth, base)
        return [
            *ConnectionResource(self.connections, door, inside).routes(),
            *ActionResource(self.connections, door, auth, inside).routes(),
        ]

    def serve(self, app: Asgi) -> None:
        """The application that has the routes: actions ask it, too."""
        self._inside.app = app
