"""The parts that authorize: OAuth apps, tokens, grants, and their HTTP doors."""

from collections.abc import Callable

from starlette.routing import Route

from hushwire.actions.accounts import Accounts
from hushwire.actions.bearer import Tokens
from hushwire.actions.oauth import OauthApps
from hushwire.actions.oauth_grants import Grants
from hushwire.api.auth import Authenticator
from hushwire.api.consent import ConsentResource
from hushwire.api.door import Door
from hushwire.api.oauth import OauthAppResource, TokenResource
from hushwire.api.wire import Scope
from hushwire.clock import Clock, Entropy
from hushwire.store.owned import OwnedRecords
from hushwire.store.store import Store


class Authorizing:
    """Made once: authorization codes are in its memory."""

    def __init__(self, owned: OwnedRecords, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._entropy = entropy
        self.tokens = Tokens(owned, store, clock, entropy)
        self.apps = OauthApps(owned, store, clock, entropy)
        self.grants = Grants(owned, self.tokens, clock, entropy)

    def routes(
        self, accounts: Accounts, door: Door, auth: Authenticator, base: Callable[[Scope], str]
    ) -> list[Route]:
        return [
            *OauthAppResource(self.apps, self.grants, door).routes(),
            *TokenResource(self.apps, self.grants, auth, base).routes(),
            *ConsentResource(self.apps, self.grants, accounts, auth, base, self._entropy).routes(),
        ]
