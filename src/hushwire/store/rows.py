"""Between a `Message` and its row: what is sealed, under which key, and what is in clear."""

from struct import Struct as Layout
from typing import Final

from msgspec import Struct, convert, json
from msgspec.structs import astuple

from hushwire.domain.message import INBOUND, Direction, Message, Status
from hushwire.domain.sid import MessageId, message_sid
from hushwire.domain.task import Task
from hushwire.domain.withholding import ADDRESS, ALL, CONTENT
from hushwire.private import Private
from hushwire.store.engine import Row
from hushwire.store.keys import AccountKeys
from hushwire.vault.seal import open_sealed, seal, wrap
from hushwire.vault.slots import KeyRef, Slots

IN_DOUBT: Final = 1
SETTLED: Final = 2
PROVIDE_FEEDBACK: Final = 4
DISCARD: Final = 8
OBFUSCATE: Final = 16  # 32, 64, 128: `Message.withheld`


# What is drawn for each part: its key, the nonce that key is wrapped with, and its own nonce.
_DRAWN: Final = Layout("32s12s12s" * 2)


def flags_of(message: Message) -> int:
    """The yes-or-no facts of a message in one column."""
    return (
        (IN_DOUBT if message.in_doubt else 0)
        | (SETTLED if message.settled else 0)
        | (PROVIDE_FEEDBACK if message.provide_feedback else 0)
        | (DISCARD if message.discard else 0)
        | (OBFUSCATE if message.obfuscate else 0)
        | message.withheld
    )


def birth_row(
    message: Message, keys: AccountKeys, stretch: int, images: list[tuple[KeyRef, bytes]]
) -> Row:
    """The row of a new message; the images of its two keys are added to `images`."""
    assert message.to is not None
    assert message.body is not None
    content_key, address_key = message.content_key, message.address_key
    assert content_key is not None
    assert address_key is not None
    from_ = message.from_.reveal() if message.from_ is not None else ""  # not yet chosen
    to = message.to.reveal()
    callback = message.callback.reveal() if message.callback is not None else ""
    extras = message.extras.reveal() if message.extras is not None else ""
    sid = message.sid.encode()
    content_dek, content_wrap, content_nonce, address_dek, address_wrap, address_nonce = (
        _DRAWN.unpack(keys.entropy.bytes(_DRAWN.size))
    )
    wrapper, account_id = keys.cipher.wrapper, message.account_id
    images.append((content_key, wrap(wrapper, account_id, content_key, content_dek, content_wrap)))
    images.append((address_key, wrap(wrapper, account_id, address_key, address_dek, address_wrap)))
    content = f"{callback}\n{extras}\n{message.body.reveal()}".encode("utf-8", "surrogatepass")
    inbound = message.direction is INBOUND
    own, person = (to, from_) if inbound else (from_, to)
    own_tag = keys.own_tag(own) if own else None
    person_tag = keys.pepper(message.created_ms).tag8(person)
    return (
        message.key,
        message.tail,
        message.sid[:2],
        message.account_id,
        message.direction,
        message.status,
        message.segments,
        message.updated_ms,
        message.sent_ms,
        message.expires_ms,
        message.error_code,
        message.attempt,
        flags_of(message),
        seal(content_dek, content, b"content" + sid, content_nonce),
        content_key,
        seal(address_dek, f"{from_}\n{to}".encode(), b"address" + sid, address_nonce),
        address_key,
        message.from_shown,
        message.to_shown,
        stretch,
        person_tag if inbound else own_tag,
        own_tag if inbound else person_tag,
        message.lane,
        message.callback_lane,
        message.history,
        message.price,
        _rare(message) if message.service or message.media or message.send_at_ms else None,
    )


def _rare(message: Message) -> str:
    return json.encode(Rare(message.service, message.media, message.send_at_ms)).decode()


def address_row(message: Message, keys: AccountKeys, slots: Slots) -> Row | None:
    """What `address_message` writes once the sender is chosen; None when the key is gone."""
    assert message.from_ is not None
    assert message.to is not None
    ref = message.address_key
    dek = slots.unwrap(keys.cipher.wrapper, keys.cipher.account_id, ref) if ref else None
    if dek is None:
        return None
    from_, nonce = message.from_.reveal(), keys.entropy.bytes(12)
    address = f"{from_}\n{message.to.reveal()}".encode()
    tag = keys.own_tag(from_)
    sealed = seal(dek, address, b"address" + message.sid.encode(), nonce)
    return message.key, sealed, tag, ref, message.from_shown


def update_row(message: Message) -> Row:
    return (
        message.key,
        message.status,
        message.updated_ms,
        message.sent_ms,
        message.error_code,
        message.attempt,
        flags_of(message),
        message.history,
        message.price,
    )


def task_row(task: Task, *, held: bool) -> Row:
    row: Row = astuple(task)
    return row if held is task.held else (*row[:-1], held)


def read_task(row: object) -> Task:
    return convert(row, Task, strict=False)  # `held` is 0 or 1 in the table


class Rare(Struct, frozen=True, omit_defaults=True):
    """What few messages have, and what is no secret."""

    service: str | None = None
    media: int = 0
    send_at_ms: int = 0


class MessageRow(Struct, array_like=True):
    """The columns of `message`, in the table's order."""

    key: int
    tail: bytes
    prefix: str
    account_id: int
    direction: Direction
    status: Status
    segments: int
    updated_ms: int
    sent_ms: int | None
    expires_ms: int
    error_code: int | None
    attempt: int
    flags: int
    content: bytes | None
    content_key: int | None
    address: bytes | None
    address_key: int | None
    from_shown: str | None
    to_shown: str | None
    stretch: int
    from_tag: int | None
    to_tag: int | None
    lane: int
    callback_lane: int
    history: str
    price: int | None
    rare: str | None


_NOT_RARE: Final = Rare()


def read_row(row: object) -> MessageRow:
    return convert(row, MessageRow)


def read_message(row: MessageRow, keys: AccountKeys, slots: Slots) -> Message | None:
    """The message of a row; None when both its keys are gone while the row is not.

    That is a deletion which a crash cut in half: for every reader the message is deleted, and
    the sweep removes the row. What is withheld is not opened.
    """
    sid = message_sid(row.prefix, MessageId(row.key, row.tail))
    withheld = row.flags & ALL
    content = address = None
    if not withheld & CONTENT:
        content = _open(row.content, row.content_key, b"content", sid, keys, slots)
    if not withheld & ADDRESS:
        address = _open(row.address, row.address_key, b"address", sid, keys, slots)
    if address is None and row.from_shown is None and not withheld:
        return None
    url, _, rest = (content or "").partition("\n")
    extras, _, text = rest.partition("\n")
    from_, _, to = (address or "").partition("\n")
    rare = _NOT_RARE if row.rare is None else json.decode(row.rare, type=Rare)
    return Message(
        key=row.key,
        tail=row.tail,
        sid=sid,
        account_id=row.account_id,
        direction=row.direction,
        status=row.status,
        from_=Private(from_) if from_ else None,
        to=Private(to) if address is not None else None,
        body=Private(text) if content is not None else None,
        callback=Private(url) if url else None,
        segments=row.segments,
        created_ms=row.key >> 16,
        updated_ms=row.updated_ms,
        content_key=row.content_key if content is not None or withheld & CONTENT else None,
        address_key=row.address_key if address is not None or withheld & ADDRESS else None,
        expires_ms=row.expires_ms,
        sent_ms=row.sent_ms,
        error_code=row.error_code,
        attempt=row.attempt,
        in_doubt=bool(row.flags & IN_DOUBT),
        settled=bool(row.flags & SETTLED),
        provide_feedback=bool(row.flags & PROVIDE_FEEDBACK),
        discard=bool(row.flags & DISCARD),
        obfuscate=bool(row.flags & OBFUSCATE),
        from_shown=row.from_shown,
        to_shown=row.to_shown,
        lane=row.lane,
        callback_lane=row.callback_lane,
        history=row.history,
        service=rare.service,
        extras=Private(extras) if extras else None,
        media=rare.media,
        send_at_ms=rare.send_at_ms,
        price=row.price,
        withheld=withheld,
    )


def read_parties(row: MessageRow, keys: AccountKeys, slots: Slots) -> tuple[str, str] | None:
    """Sender and recipient of a row, withheld or not: what legal holds ask."""
    sid = message_sid(row.prefix, MessageId(row.key, row.tail))
    address = _open(row.address, row.address_key, b"address", sid, keys, slots)
    if address is None:
        return None
    from_, _, to = address.partition("\n")
    return from_, to


def _open(
    blob: bytes | None, ref: int | None, part: bytes, sid: str, keys: AccountKeys, slots: Slots
) -> str | None:
    if blob is None or ref is None:
        return None
    dek = slots.unwrap(keys.cipher.wrapper, keys.cipher.account_id, ref)
    if dek is None:
        return None
    return open_sealed(dek, blob, part + sid.encode()).decode("utf-8", "surrogatepass")
