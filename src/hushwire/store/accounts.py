"""Accounts, API keys and numbers: few, so they live in memory; secrets are opened at start."""

from collections.abc import Callable

from msgspec import json

from hushwire.clock import Entropy
from hushwire.domain.account import Account, ApiKey, Number, NumberSettings, Pace
from hushwire.domain.audit import Draft
from hushwire.domain.audit_changes import of_account, of_key
from hushwire.domain.message import Message
from hushwire.domain.privacy import Privacy, Windows
from hushwire.domain.retention import Retention
from hushwire.errors import Defect, Misconfigured
from hushwire.faults import reach
from hushwire.private import Private
from hushwire.store.audit import AuditLog, actor
from hushwire.store.engine import Database
from hushwire.store.keys import FORMER, LASTING, OWN, SEARCH, SECRETS, AccountKeys
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
        entropy: Entropy, defaults: Windows, audit: AuditLog,
    ) -> None:  # fmt: skip
        self._write = write
        self._audit = audit
        self._slots = slots
        self.keyring = Keyring(slots, root, entropy)
        self._entropy = entropy
        self.version = 0
        self.changed: Callable[[Record | None, Record | None], None] | None = None  # before, after
        self.keys: dict[int, AccountKeys] = {}
        self.windows: dict[int, Windows] = {}  # how long each holds what is to be forgotten
        self._defaults = defaults
        self.by_sid: dict[str, Account] = {}
        self.by_id: dict[int, Account] = {}
        self.api_keys: dict[str, ApiKey] = {}  # by SID
        self.numbers: dict[str, Number] = {}  # by E.164
        self.paces: dict[str, Pace] = {}
        self.key_refs: dict[KeyRef, int] = {}  # account id by what lies under the root: no orphans
        self.account_refs: dict[int, KeyRef] = {}  # account key by account id
        self.made_ms: dict[int, int] = {}  # when it was made or last rotated
        self.formers: dict[int, KeyRef] = {}  # of accounts whose key is being rotated
        self.months: dict[tuple[int, int], KeyRef] = {}  # of each month's pepper, by account id
        self._load(reader)

    # -- accounts -------------------------------------------------------------------------

    def open(
        self, sid: str, number_sid: str, token: Private, phone: str | None, name: str, now_ms: int,
        owner_id: int | None = None,
    ) -> Account:  # fmt: skip
        """Open an account, with a number if one is given; a subaccount when it has an owner."""
        account_id = max(self.by_id, default=0) + 1
        refs = self.keyring.create_account(account_id)
        self._slots.write(refs.images, ())
        cipher = self._cipher(account_id, refs.account_key, refs.secrets)
        account = Account(
            account_id, sid, owner_id or account_id, name, "active", token, now_ms, now_ms
        )
        number = None
        if phone is not None:
            number = self._new_number(number_sid, account_id, phone, NumberSettings(), now_ms)

        drafts = of_account(None, account, actor())

        def work(db: Database) -> None:
            _put_account(db, account, refs.account_key, cipher)
            if number is not None:
                _put_number(db, number, cipher)
            db.do("insert_pepper", account_id, SECRETS, LASTING, refs.secrets)
            db.do("insert_pepper", account_id, SEARCH, month_of(now_ms), refs.pepper)
            db.do("insert_pepper", account_id, OWN, LASTING, refs.own)
            made = _made(sid, SEARCH, month_of(now_ms)), _made(sid, OWN, LASTING)
            self._audit.write(db, *drafts, *made)

        self._write(work)
        self._remember(account, refs.account_key, cipher, now_ms)
        self.key_refs[refs.secrets] = account_id
        if number is not None:
            self._own(number)
        self._add_pepper(account_id, SEARCH, month_of(now_ms), refs.pepper)
        self._add_pepper(account_id, OWN, LASTING, refs.own)
        self._tell(None, account)
        return account

    def change(self, account: Account) -> None:
        """Another name, status or token for an account that is there."""
        cipher, ref = self.keys[account.id].cipher, self.account_refs[account.id]
        before = self.by_id[account.id]
        drafts = of_account(before, account, actor())

        def work(db: Database) -> None:
            _put_account(db, account, ref, cipher)
            self._audit.write(db, *drafts)

        self._write(work)
        self._know(account)
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
        before = self.api_keys.get(key.sid)
        drafts = of_key(self.by_id[key.account_id].sid, before, key, actor())

        def work(db: Database) -> None:
            db.do(
                "put_key", key.sid, key.account_id, key.friendly_name, key.kind,
                "\n".join(key.permissions), key.secret_hash, key.created_ms, key.updated_ms,
            )  # fmt: skip
            self._audit.write(db, *drafts)

        self._write(work)
        self.api_keys[key.sid] = key
        self.version += 1
        self._tell(before, key)

    def delete_key(self, sid: str) -> None:
        """Revoke an API key."""
        before = self.api_keys[sid]
        drafts = of_key(self.by_id[before.account_id].sid, before, None, actor())

        def work(db: Database) -> None:
            db.do("delete_key", sid)
            self._audit.write(db, *drafts)

        self._write(work)
        del self.api_keys[sid]
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
        peppers: list[tuple[int, str, int, KeyRef]] = list(reader.rows("peppers"))
        for account_id, _, _, ref in peppers:
            self.key_refs[ref] = account_id
        self._load_accounts(reader, {(row[0], row[1]): row[3] for row in peppers})
        for row in reader.rows("keys"):
            sid, account_id, name, kind, permissions, secret_hash, created, updated = row
            self.api_keys[sid] = ApiKey(
                sid, account_id, name, kind, tuple(str(permissions).splitlines()), secret_hash,
                created, updated,
            )  # fmt: skip
        for row in peppers:
            if row[1] not in (SECRETS, FORMER):
                self._load_pepper(*row)
        for row in reader.rows("numbers"):
            number_id, sid, account_id, phone, mps, sealed, created, updated = row
            opened = self.keys[account_id].cipher.open_secret(_NUMBER, sealed)
            settings = json.decode(opened, type=NumberSettings)
            self._own(Number(number_id, sid, account_id, phone, mps, created, updated, settings))

    def _load_accounts(self, reader: Database, beside: dict[tuple[int, str], KeyRef]) -> None:
        for row in reader.rows("accounts"):
            (
                account_id, sid, owner_id, name, status, ref, token, second, privacy, retention,
                created, updated, made_ms,
            ) = row  # fmt: skip
            former = beside.get((account_id, FORMER))
            cipher = self._cipher(account_id, ref, beside[account_id, SECRETS], former)
            account = Account(
                account_id, sid, owner_id, name, status, _secret(cipher, _TOKEN, token), created,
                updated, _secret(cipher, _SECONDARY, second) if second is not None else None,
                json.decode(privacy, type=Privacy), json.decode(retention, type=Retention),
            )  # fmt: skip
            self._remember(account, ref, cipher, made_ms)
            if former is not None:
                self.formers[account_id] = former

    def _cipher(
        self, account_id: int, key_ref: KeyRef, secrets: KeyRef, former: KeyRef | None = None
    ) -> AccountCipher:
        cipher = self.keyring.load(account_id, key_ref, secrets, former)
        if cipher is None:
            raise Misconfigured(
                f"the vault has no key for account {account_id}: it is older than the database; "
                "put the newer vault back, or restore both from one backup"
            )
        return cipher

    def _remember(
        self, account: Account, key_ref: KeyRef, cipher: AccountCipher, made_ms: int
    ) -> None:
        self._know(account)
        self.account_refs[account.id] = key_ref
        self.made_ms[account.id] = made_ms
        self.key_refs[key_ref] = account.id
        self.keys[account.id] = AccountKeys(cipher, self._entropy, self._new_pepper)

    def _know(self, account: Account) -> None:
        self.by_id[account.id] = self.by_sid[account.sid] = account
        self.windows[account.id] = account.privacy.windows_s.over(self._defaults)

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
        if purpose == SEARCH and (account_id, epoch) in self.months:  # half destroyed
            self.destroy_pepper(account_id, epoch)
        ref, image = self.keyring.new_pepper(account_id)
        self._slots.write([(ref, image)], ())
        made = _made(self.by_id[account_id].sid, purpose, epoch)

        def work(db: Database) -> None:
            db.do("insert_pepper", account_id, purpose, epoch, ref)
            self._audit.write(db, made)

        self._write(work)
        return self._add_pepper(account_id, purpose, epoch, ref)

    def destroy_pepper(self, account_id: int, epoch: int) -> None:
        """Destroy the pepper of a month: durable when this returns. No message may carry a tag
        of it any more, and none may be born in that month. Raises OSError.

        A crash in between leaves a row that names no key: that month's pepper is destroyed again.
        """
        ref = self.months[account_id, epoch]
        self._slots.write((), [ref])
        reach("pepper.shredded")
        sid = self.by_id[account_id].sid
        gone = Draft(sid, "pepper.destroyed", (sid,), f"{SEARCH} {epoch}")

        def work(db: Database) -> None:
            db.do("drop_pepper", account_id, SEARCH, epoch)
            self._audit.write(db, gone)

        self._write(work)
        reach("pepper.dropped")
        self._slots.recycle([ref])
        self.keys[account_id].drop_pepper(epoch)
        del self.months[account_id, epoch]
        del self.key_refs[ref]

    def _load_pepper(self, account_id: int, purpose: str, epoch: int, ref: KeyRef) -> None:
        if epoch != LASTING and self._slots.read(ref) is None and not self._slots.lags(ref):
            # Destroyed: by a process that died over it, or after the backup that this is from.
            self.months[account_id, epoch] = ref
            self.key_refs[ref] = account_id
        else:
            self._add_pepper(account_id, purpose, epoch, ref)

    def _add_pepper(self, account_id: int, purpose: str, epoch: int, ref: KeyRef) -> Pepper:
        key = self.keyring.unwrap_key(account_id, ref)
        if key is None:
            raise Defect(f"a pepper of account {account_id} is gone while its row is not")
        self.key_refs[ref] = account_id
        keys, pepper = self.keys[account_id], Pepper(key)
        if epoch == LASTING:
            keys.lasting[purpose] = pepper
        else:
            keys.peppers[epoch] = pepper
            self.months[account_id, epoch] = ref
        return pepper


def _made(sid: str, purpose: str, epoch: int) -> Draft:
    return Draft(sid, "pepper.made", (sid,), f"{purpose} {epoch or 'lasting'}")


def _put_account(db: Database, account: Account, ref: KeyRef, cipher: AccountCipher) -> None:
    second = account.secondary_token
    db.do(
        "put_account", account.id, account.sid, account.owner_id, account.friendly_name,
        account.status, ref, cipher.seal_secret(_TOKEN, account.auth_token.reveal().encode()),
        cipher.seal_secret(_SECONDARY, second.reveal().encode()) if second is not None else None,
        json.encode(account.privacy).decode(), json.encode(account.retention).decode(),
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
