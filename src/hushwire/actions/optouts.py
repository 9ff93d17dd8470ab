"""What can be done with opt-outs: keep them by hand, ask for one, and ask whether to send.

A person opts out of a scope: a number or short code (`PN…`, `SC…`), or a whole Messaging
Service (`MG…`). Who told the number of a service to stop told the service.
"""

from collections.abc import Iterator
from typing import Final

from hushwire.actions.services import Services
from hushwire.actions.shortcodes import ShortCodes
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.incoming import is_keyword_reply
from hushwire.domain.message import Message
from hushwire.domain.phone import normalise
from hushwire.errors import PROBLEMS, Refusal
from hushwire.private import Private
from hushwire.store.optouts import OptOuts
from hushwire.store.store import Store

BY_API: Final = "api"  # instead of the word that a person sent
UNSUBSCRIBED_ERROR: Final = PROBLEMS["unsubscribed"].code  # stored on a message


class BlockLists:
    """The actions on opt-outs, for every door and worker."""

    def __init__(
        self, table: OptOuts, store: Store, services: Services, short_codes: ShortCodes,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._table = table
        self._accounts = store.accounts
        self._services = services
        self._short_codes = short_codes
        self._clock = clock

    def blocks(self, account_id: int, sender: str, to: str, service: str | None = None) -> bool:
        """Does `to` (E.164) want no messages from `sender`, or from the service that sends?

        `sender` is as on the wire. A number counts with the service whose pool it is in, however
        the message goes.
        """
        table = self._table
        if not table.any(account_id):
            return False
        return any(
            table.blocked(account_id, scope, to)
            for scope in self._scopes(account_id, sender, service)
        )

    def stops(self, message: Message) -> bool:
        """Does the person want no such message? Answers to STOP, START and HELP go to all."""
        if not self._table.any(message.account_id):
            return False
        if message.from_ is None or message.to is None or is_keyword_reply(message):
            return False
        sender, to = message.from_.reveal(), message.to.reveal()
        return self.blocks(message.account_id, sender, to, message.service)

    def check(self, account: Account, phone: Private) -> list[str]:
        """The scopes of which `phone` has opted out. Raises Refusal when it is no number."""
        return self._table.scopes(account.id, _number(phone))

    def add(self, account: Account, phone: Private, scope: str) -> None:
        """No more messages to `phone` from that scope; durable and in force when it returns.

        Raises Refusal: invalid_parameter.
        """
        number = _number(phone)
        self._check_scope(account, scope)
        self._table.add(account.id, scope, number, BY_API, self._clock.now_ms())

    def remove(self, account: Account, phone: Private, scope: str) -> None:
        """Messages are welcome again. Raises Refusal: invalid_parameter."""
        number = _number(phone)
        self._check_scope(account, scope)
        self._table.remove(account.id, scope, number)

    def _scopes(self, account_id: int, sender: str, service: str | None) -> Iterator[str]:
        if service is not None:
            yield service
        number = self._accounts.numbers.get(sender) or self._short_codes.by_digits(sender)
        if number is None:
            return  # an alphanumeric ID: nobody can answer it
        yield number.sid
        home = self._services.home(account_id, number.sid)
        if home is not None and home.sid != service:
            yield home.sid

    def _check_scope(self, account: Account, scope: str) -> None:
        services = self._services
        known = (
            services.find(account.id, scope) is not None
            or services.is_own(account.id, "PN", scope)
            or services.is_own(account.id, "SC", scope)
        )
        if not known:
            raise Refusal("invalid_parameter", parameter="scope")


def _number(phone: Private) -> str:
    number = normalise(phone.reveal())
    if number is None:
        raise Refusal("invalid_parameter", parameter="phone")
    return number
