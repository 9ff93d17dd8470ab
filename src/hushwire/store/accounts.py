"""Accounts, API keys and numbers: few, so they live in memory; secrets are opened at start."""

from collections.abc import Callable

from msgspec import json

from hushwire.clock import Entropy
from hushwire.domain.account import Account, ApiKey, Number, NumberSettings, Pace
from hushwire.domain.message import Message
from hushwire.errors import Defect
from hushwire.private import Private
from hushwire.store.engine import Database
from hushwire.store.keys import LASTING, SEARCH, AccountKeys
from hushwire.vault.keyring import AccountCipher, Keyring
from hushwire.vault.lookup import Pepper, month_of
from hushwire.vault.slots import KeyRef, Slots

WriteNow = Callable[[Callable[[Database], None]], None]
Record = Account | ApiKey | Number
_TOKEN, _SECONDARY, _NUMBER = "auth token", "secondary auth token", "number settings"


class Accounts:
    """Every account with its keys, and every number with its owner and pace.

    What changes them is rare and durable when it returns; `version` counts the changes.
    """

    def __init__(
        self, reader: Database, write: WriteNow, slots: Slots, root: bytes,
        entropy: Entropy,
    ) -> None:  # fmt: skip
        self._write = write
        self._slots = slots
        self._keyring = Keyring(slots, root, entropy)
        self._entropy = entropy
        self.version = 0
        self.changed: Callable[[Record | None, Record | None], None] | None = None  # before, after
        self.keys: dict[int, AccountKeys] = {}
        self.by_sid: dict[str, Account] = {}
        self.by_id: dict[int, Account] = {}
        self.api_keys: dict[str, ApiKey] = {}  # by SID
        self.numbers: dict[str, Number] = {}  # by E.164
        self.paces: dict[str, Pace] = {}
        self.key_refs: set[KeyRef] = set()  # account keys and peppers: never orphans
        self._account_refs: dict[int, KeyRef] = {}
        self._load(reader)

    # -- accounts -------------------------------------------------------------------------

    def open(
        self, sid: str, number_sid: str, token: Private, phone: str | None, name: str, now_ms: int,
        owner_id: int | None = None,
    ) -> Account:  # fmt: skip
        """Open an account, with a number if one is given; a subaccount when it has an owner."""
        account_id = max(self.by_id, default=0) + 1
        refs = self._keyring.create_account(account_id)
        self._slots.write(refs.images, ())
        cipher = self._cipher(account_id, refs.account_key)
        account = Account(
            account_id, sid, owner_id or account_id, name, "active", token, now_ms, now_ms
        )
        number = None
        if phone is not None:
            number = self._new_number(number_sid, account_id, phone, NumberSettings(), now_ms)

        def work(db: Database) -> None:
            _put_account(db, account, refs.account_key, cipher)
            if number is not None:
                _put_number(db, number, cipher)
            db.do("insert_pepper", account_id, SEARCH, month_of(now_ms), refs.pepper)

        self._write(work)
        self._remember(account, refs.account_key, cipher)
        if number is not None:
            self._own(number)
        self._add_pepper(account_id, SEARCH, month_of(now_ms), refs.pepper)
        self._tell(None, account)
        return account

    def change(self, account: Account) -> None:
        """Another name, status or token for an account that is there."""
        cipher, ref = self.keys[account.id].cipher, self._account_refs[account.id]
        self._write(lambda db: _put_account(db, account, ref, cipher))
        before = self.by_id[account.id]
        self.by_id[account.id] = self.by_sid[account.sid] = account
        self.version += 1
        self._tell(before, account)

    def is_active(self, account: Account) -> bool:
        """May it be used? A subaccount of a suspended parent may not."""
        return account.status == "active" and self.by_id[account.owner_id].status == "active"

    def reaches(self, caller: Account, sid: str) -> Account | None:
        """The account of that SID, if it is the caller or one of its subaccounts."""
        account = self.by_sid.get(sid)
        if account is None or caller.id not in (account.id, account.owner_id):
            return None
        return account

    def pace_of(self, message: Message) -> Pace | None:
        """The timetable of the sender of a message, or None when it is no longer owned."""
        return self.paces.get(message.from_.reveal()) if message.from_ is not None else None

    # -- keys and numbers -----------------------------------------------------------------

    def put_key(self, key: ApiKey) -> None:
        """Make an API key, or change its name or permissions."""
        self._write(
            lambda db: db.do(
                "put_key", key.sid, key.account_id, key.friendly_name, key.kind,
                "\n".join(key.permissions), key.secret_hash, key.created_ms, key.updated_ms,
            )
        )  # fmt: skip
        before = self.api_keys.get(key.sid)
        self.api_keys[key.sid] = key
        self.version += 1
        self._tell(before, key)

    def delete_key(self, sid: str) -> None:
        """Revoke an API key."""
        self._write(lambda db: db.do("delete_key", sid))
        before = self.api_keys.pop(sid)
        self.version += 1
        self._tell(before, None)

    def buy(
        self, sid: str, account_id: int, phone: str, settings: NumberSettings, now_ms: int
    ) -> Number:
        """Give an account a number that nobody owns."""
        number = self._new_number(sid, account_id, phone, settings, now_ms)
        self.put_number(number)
        return number

    def put_number(self, number: Number) -> None:
        """A number as it is from now on: its settings, its pace, its owner."""
        cipher = self.keys[number.account_id].cipher
        self._write(lambda db: _put_number(db, number, cipher))
        before = self.numbers.get(number.phone)
        self._own(number)
        self._tell(before, number)

    def release(self, number: Number) -> None:
        """Give a number back."""
        self._write(lambda db: db.do("delete_number", number.id))
        del self.numbers[number.phone]
        del self.paces[number.phone]
        self._tell(number, None)

    def _tell(self, before: Record | None, after: Record | None) -> None:
        if self.changed is not None:
            self.changed(before, after)

    # -- at start -------------------------------------------------------------------------

    def _load(self, reader: Database) -> None:
        for row in reader.rows("accounts"):
            account_id, sid, owner_id, name, status, ref, token, second, created, updated = row
            cipher = self._cipher(int(account_id), int(ref))
            account = Account(
                account_id, sid, owner_id, name, status, _secret(cipher, _TOKEN, token), created,
                updated, _secret(cipher, _SECONDARY, second) if second is not None else None,
            )  # fmt: skip
            self._remember(account, ref, cipher)
        for row in reader.rows("keys"):
            sid, account_id, name, kind, permissions, secret_hash, created, updated = row
            self.api_keys[sid] = ApiKey(
                sid, account_id, name, kind, tuple(str(permissions).splitlines()), secret_hash,
                created, updated,
            )  # fmt: skip
        for row in reader.rows("peppers"):
            self._add_pepper(*row)
        for row in reader.rows("numbers"):
            number_id, sid, account_id, phone, mps, sealed, created, updated = row
            opened = self.keys[account_id].cipher.open_secret(_NUMBER, sealed)
            settings = json.decode(opened, type=NumberSettings)
            self._own(Number(number_id, sid, account_id, phone, mps, created, updated, settings))

    def _cipher(self, account_id: int, key_ref: KeyRef) -> AccountCipher:
        cipher = self._keyring.load(account_id, key_ref)
        if cipher is None:
            raise Defect(f"the key of account {account_id} is gone while its row is not")
        return cipher

    def _remember(self, account: Account, key_ref: KeyRef, cipher: AccountCipher) -> None:
        self.by_id[account.id] = self.by_sid[account.sid] = account
        self._account_refs[account.id] = key_ref
        self.key_refs.add(key_ref)
        self.keys[account.id] = AccountKeys(cipher, self._entropy, self._new_pepper)

    def _own(self, number: Number) -> None:
        self.numbers[number.phone] = number
        pace = self.paces.get(number.phone)
        if pace is None:
            self.paces[number.phone] = Pace(number.mps)
        elif pace.mps != number.mps:
            self.paces[number.phone] = pace.at(number.mps, number.updated_ms)

    def _new_number(
        self, sid: str, account_id: int, phone: str, settings: NumberSettings, now_ms: int
    ) -> Number:
        number_id = max((number.id for number in self.numbers.values()), default=0) + 1
        return Number(number_id, sid, account_id, phone, None, now_ms, now_ms, settings)

    def _new_pepper(self, account_id: int, purpose: str, epoch: int) -> Pepper:
        """A pepper, once a month an account, or once a purpose: durable before the first tag."""
        ref, image = self._keyring.new_pepper(account_id)
        self._slots.write([(ref, image)], ())
        self._write(lambda db: db.do("insert_pepper", account_id, purpose, epoch, ref))
        return self._add_pepper(account_id, purpose, epoch, ref)

    def _add_pepper(self, account_id: int, purpose: str, epoch: int, ref: KeyRef) -> Pepper:
        key = self._keyring.unwrap_key(account_id, ref)
        if key is None:
            raise Defect(f"a pepper of account {account_id} is gone while its row is not")
        self.key_refs.add(ref)
        keys, pepper = self.keys[account_id], Pepper(key)
        if epoch == LASTING:
            keys.lasting[purpose] = pepper
        else:
            keys.peppers[epoch] = pepper
        return pepper


def _put_account(db: Database, account: Account, ref: KeyRef, cipher: AccountCipher) -> None:
    second = account.secondary_token
    db.do(
        "put_account", account.id, account.sid, account.owner_id, account.friendly_name,
        account.status, ref, cipher.seal_secret(_TOKEN, account.auth_token.reveal().encode()),
        cipher.seal_secret(_SECONDARY, second.reveal().encode()) if second is not None else None,
        account.created_ms, account.updated_ms,
    )  # fmt: skip


def _put_number(db: Database, number: Number, cipher: AccountCipher) -> None:
    db.do(
        "put_number", number.id, number.sid, number.account_id, number.phone, number.mps,
        cipher.seal_secret(_NUMBER, json.encode(number.settings)), number.created_ms,
        number.updated_ms,
    )  # fmt: skip


def _secret(cipher: AccountCipher, label: str, sealed: bytes) -> Private:
    return Private(cipher.open_secret(label, sealed).decode())
