"""Between a `Message` and its row: what is sealed, under which key, and what is in clear."""

from typing import Final

from msgspec import Struct, convert

from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.sid import MessageId, message_sid
from hushwire.domain.task import Task
from hushwire.private import Private
from hushwire.store.engine import Row
from hushwire.store.keys import AccountKeys
from hushwire.vault.lookup import day_of
from hushwire.vault.seal import open_sealed, seal
from hushwire.vault.slots import KeyRef, Slots

IN_DOUBT: Final = 1
SETTLED: Final = 2
PROVIDE_FEEDBACK: Final = 4
DISCARD: Final = 8
OBFUSCATE: Final = 16


def flags_of(message: Message) -> int:
    """The yes-or-no facts of a message in one column."""
    return (
        IN_DOUBT * message.in_doubt
        | SETTLED * message.settled
        | PROVIDE_FEEDBACK * message.provide_feedback
        | DISCARD * message.discard
        | OBFUSCATE * message.obfuscate
    )


def birth_row(message: Message, keys: AccountKeys, images: list[tuple[KeyRef, bytes]]) -> Row:
    """The row of a new message; the images of its two keys are added to `images`."""
    assert message.from_ is not None
    assert message.to is not None
    assert message.body is not None
    content_key, address_key = message.content_key, message.address_key
    assert content_key is not None
    assert address_key is not None
    from_, to = message.from_.reveal(), message.to.reveal()
    callback = message.callback.reveal() if message.callback is not None else ""
    sid = message.sid.encode()
    random = keys.entropy.bytes(112)  # two keys with their nonces, and two nonces
    content_dek, image = keys.cipher.new_key(content_key, random[:44])
    images.append((content_key, image))
    address_dek, image = keys.cipher.new_key(address_key, random[44:88])
    images.append((address_key, image))
    content = f"{callback}\n{message.body.reveal()}".encode("utf-8", "surrogatepass")
    inbound = message.direction is Direction.INBOUND
    own, person = (to, from_) if inbound else (from_, to)
    own_tag = keys.sender_tag(own, message.created_ms)
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
        seal(content_dek, content, b"content" + sid, random[88:100]),
        content_key,
        seal(address_dek, f"{from_}\n{to}".encode(), b"address" + sid, random[100:]),
        address_key,
        message.from_shown,
        message.to_shown,
        day_of(message.created_ms),
        person_tag if inbound else own_tag,
        own_tag if inbound else person_tag,
        message.lane,
        message.callback_lane,
        message.history,
    )


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
    )


def task_row(task: Task, *, held: bool) -> Row:
    return (
        task.record, task.number, task.kind, task.lane, task.due_ms, task.attempt,
        task.detail, task.ref, int(held),
    )  # fmt: skip


def read_task(row: object) -> Task:
    return convert(row, Task, strict=False)  # `held` is 0 or 1 in the table


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
    day: int
    from_tag: int | None
    to_tag: int | None
    lane: int
    callback_lane: int
    history: str


def read_row(row: object) -> MessageRow:
    return convert(row, MessageRow)


def read_message(row: MessageRow, keys: AccountKeys, slots: Slots) -> Message | None:
    """The message of a row; None when both its keys are gone while the row is not.

    That is a deletion which a crash cut in half: for every reader the message is deleted, and
    the sweep removes the row.
    """
    sid = message_sid(row.prefix, MessageId(row.key, row.tail))
    content = _open(row.content, row.content_key, b"content", sid, keys, slots)
    address = _open(row.address, row.address_key, b"address", sid, keys, slots)
    if address is None and row.from_shown is None:
        return None
    url, _, text = (content or "").partition("\n")
    from_, _, to = (address or "").partition("\n")
    return Message(
        key=row.key,
        tail=row.tail,
        sid=sid,
        account_id=row.account_id,
        direction=row.direction,
        status=row.status,
        from_=Private(from_) if address is not None else None,
        to=Private(to) if address is not None else None,
        body=Private(text) if content is not None else None,
        callback=Private(url) if url else None,
        segments=row.segments,
        created_ms=row.key >> 16,
        updated_ms=row.updated_ms,
        content_key=row.content_key if content is not None else None,
        address_key=row.address_key if address is not None else None,
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
    )


def _open(
    blob: bytes | None, ref: int | None, part: bytes, sid: str, keys: AccountKeys, slots: Slots
) -> str | None:
    if blob is None or ref is None:
        return None
    dek = slots.unwrap(keys.cipher.wrapper, keys.cipher.account_id, ref)
    if dek is None:
        return None
    return open_sealed(dek, blob, part + sid.encode()).decode("utf-8", "surrogatepass")
