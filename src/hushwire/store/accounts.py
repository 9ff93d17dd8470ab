"""Accounts and numbers: few, so they live in memory; their secrets are opened at start."""

import hmac
from collections.abc import Callable

from hushwire.clock import Entropy
from hushwire.domain.account import Account, Number, Pace
from hushwire.domain.message import Message
from hushwire.errors import Defect
from hushwire.private import Private
from hushwire.store.engine import Database
from hushwire.store.keys import SEARCH, AccountKeys
from hushwire.vault.keyring import AccountCipher, Keyring
from hushwire.vault.lookup import Pepper, month_of
from hushwire.vault.slots import KeyRef, Slots

WriteNow = Callable[[Callable[[Database], None]], None]
_LABEL = "auth token"


class Accounts:
    """Every account with its keys, and every number with its owner and pace."""

    def __init__(
        self, reader: Database, write: WriteNow, slots: Slots, root: bytes,
        entropy: Entropy,
    ) -> None:  # fmt: skip
        self._write = write
        self._slots = slots
        self._keyring = Keyring(slots, root, entropy)
        self._entropy = entropy
        self.keys: dict[int, AccountKeys] = {}
        self.by_sid: dict[str, Account] = {}
        self.by_id: dict[int, Account] = {}
        self.numbers: dict[str, Number] = {}  # by E.164
        self.paces: dict[str, Pace] = {}
        self.key_refs: set[KeyRef] = set()  # account keys and peppers: never orphans
        self._load(reader)

    def open(
        self, sid: str, number_sid: str, token: Private, phone: str | None, name: str, now_ms: int
    ) -> Account:
        """Open an account, with a number if one is given. Durable when this returns."""
        account_id = max(self.by_id, default=0) + 1
        refs = self._keyring.create_account(account_id)
        self._slots.write(refs.images, ())
        cipher = self._cipher(account_id, refs.account_key)
        sealed = cipher.seal_secret(_LABEL, token.reveal().encode())
        account = Account(account_id, sid, name, "active", token, now_ms, now_ms)
        number = None
        if phone is not None:
            number = Number(len(self.numbers) + 1, number_sid, account_id, phone, None, now_ms)

        def work(db: Database) -> None:
            db.do(
                "insert_account", account_id, sid, name, "active", refs.account_key, sealed,
                now_ms, now_ms,
            )  # fmt: skip
            if number is not None:
                db.do("insert_number", number.id, number_sid, account_id, phone, None, now_ms)
            db.do("insert_pepper", account_id, SEARCH, month_of(now_ms), refs.pepper)

        self._write(work)
        self._remember(account, refs.account_key, cipher)
        if number is not None:
            self._own(number)
        self._add_pepper(account_id, month_of(now_ms), refs.pepper)
        return account

    def authenticate(self, sid: str, token: str) -> Account | None:
        """The account these credentials open. An unknown SID takes as long as a wrong token."""
        account = self.by_sid.get(sid)
        expected = account.auth_token.reveal() if account is not None else "0" * 32
        matches = hmac.compare_digest(token.encode(), expected.encode())
        return account if matches and account is not None and account.status == "active" else None

    def pace_of(self, message: Message) -> Pace | None:
        """The timetable of the sender of a message, or None when it is no longer owned."""
        return self.paces.get(message.from_.reveal()) if message.from_ is not None else None

    def _load(self, reader: Database) -> None:
        for row in reader.rows("accounts"):
            account_id, sid, name, status, key_ref, sealed, created_ms, updated_ms = row
            cipher = self._cipher(int(account_id), int(key_ref))
            token = Private(cipher.open_secret(_LABEL, sealed).decode())
            account = Account(account_id, sid, name, status, token, created_ms, updated_ms)
            self._remember(account, key_ref, cipher)
        for row in reader.rows("peppers"):
            account_id, _purpose, epoch, key_ref = row
            self._add_pepper(account_id, epoch, key_ref)
        for row in reader.rows("numbers"):
            self._own(Number(*row))

    def _cipher(self, account_id: int, key_ref: KeyRef) -> AccountCipher:
        cipher = self._keyring.load(account_id, key_ref)
        if cipher is None:
            raise Defect(f"the key of account {account_id} is gone while its row is not")
        return cipher

    def _remember(self, account: Account, key_ref: KeyRef, cipher: AccountCipher) -> None:
        self.by_id[account.id] = account
        self.by_sid[account.sid] = account
        self.key_refs.add(key_ref)
        self.keys[account.id] = AccountKeys(cipher, self._entropy, self._new_pepper)

    def _own(self, number: Number) -> None:
        self.numbers[number.phone] = number
        self.paces[number.phone] = Pace(number.mps)

    def _new_pepper(self, account_id: int, epoch: int) -> Pepper:
        """A month's pepper, once a month an account: durable before the first tag."""
        ref, image = self._keyring.new_pepper(account_id)
        self._slots.write([(ref, image)], ())
        self._write(lambda db: db.do("insert_pepper", account_id, SEARCH, epoch, ref))
        return self._add_pepper(account_id, epoch, ref)

    def _add_pepper(self, account_id: int, epoch: int, ref: KeyRef) -> Pepper:
        key = self._keyring.unwrap_key(account_id, ref)
        if key is None:
            raise Defect(f"a pepper of account {account_id} is gone while its row is not")
        self.key_refs.add(ref)
        pepper = self.keys[account_id].peppers[epoch] = Pepper(key)
        return pepper
