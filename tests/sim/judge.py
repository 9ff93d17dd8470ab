"""What must hold at the end of a simulated world, whatever happened on the way."""

import re
from collections import defaultdict
from typing import Final

from msgspec import Struct

from hushwire.carriers.simulator import ERROR_CODES, Behaviour
from hushwire.domain.message import CALLED_BACK, TABLE, Message, Status, is_finished
from hushwire.store.engine import Database
from hushwire.store.sweep import Swept, sweep
from hushwire.vault.providers import DEFAULT, Surroundings, read_root
from hushwire.vault.slots import Slots
from sim.world import PHONES, POOL, RANK, Asked, Attempt, World

BODY: Final = b"canary "  # how each begins
NUMBER: Final = re.compile(rb"1415555\d")  # masked ones go on with X


class Verdict(Struct):
    """What happened in a world, for tests that ask whether everything does happen."""

    kept: int = 0
    deleted: int = 0
    redacted: int = 0
    in_doubt: int = 0
    expired: int = 0
    calls: int = 0
    called_again: int = 0  # the same callback, after a failure or a crash
    canceled: int = 0
    scheduled: int = 0  # and sent


class Line(Struct, frozen=True):
    """A line of a message's history, and the status it led to."""

    name: str
    at_ms: int
    status: Status


async def judge(world: World) -> Verdict:
    """Raises AssertionError with what does not hold."""
    verdict = Verdict(calls=len(world.endpoints.attempts))
    accepted = accepted_by_network(world)
    calls: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in world.endpoints.attempts:
        calls[attempt.sid].append(attempt)
    assert calls.keys() <= {asked.sid for asked in world.asked}
    verdict.called_again = len(world.endpoints.attempts) - len(
        {(attempt.sid, attempt.status) for attempt in world.endpoints.attempts}
    )
    senders: dict[str, str] = {}
    for asked in world.asked:
        message = world.server.store.find(world.server.account.id, asked.sid)
        if message is None:
            judge_absent(world, asked, verdict)
            judge_calls(asked, calls[asked.sid], None)
        else:
            verdict.kept += 1
            history = replay(message)
            judge_life(asked, message, history, asked.key in accepted, verdict)
            judge_sender(asked, message, history, senders, verdict)
            judge_content(world, asked, message, verdict)
            judge_calls(asked, calls[asked.sid], history)
    judge_disk(world)
    swept = await sweep(world.server.store, world.settings.database_path, world.server.slots)
    assert swept == Swept(0, 0, 0), f"the sweep at the start left something: {swept}"
    return verdict


def accepted_by_network(world: World) -> set[int]:
    """The keys of the messages the network took; none of them twice."""
    lines = (world.data / "network.log").read_text().splitlines()
    taken = [int(line.split()[2]) for line in lines if line.startswith("accepted")]
    assert len(taken) == len(set(taken)), "a message was sent twice"
    return set(taken)


def judge_absent(world: World, asked: Asked, verdict: Verdict) -> None:
    assert asked.delete_asked or not asked.acked, f"{asked.sid} is lost"
    verdict.deleted += asked.deleted_ms is not None
    reused = {ref for other in world.asked if other is not asked for ref in other.refs}
    for ref in set(asked.refs) - (set() if asked.acked else reused):  # a crash left it unused
        assert world.server.slots.read(ref) is None, f"a key of {asked.sid} is left"


def replay(message: Message) -> list[Line]:
    """The history, each step one that the table allows; it leads to the status."""
    lines: list[Line] = []
    status = Status(message.history.split(" ", 1)[0])
    for number, text in enumerate(message.history.splitlines()):
        name, at_ms, _ = text.split()
        if number and name != "redacted":
            status = TABLE[status][name]  # a KeyError is a step that the table does not know
        lines.append(Line(name, int(at_ms), status))
    assert lines[-1].status is message.status, f"{message.sid} is not what its history says"
    assert [line.at_ms for line in lines] == sorted(line.at_ms for line in lines)
    return lines


def judge_life(
    asked: Asked, message: Message, history: list[Line], accepted: bool, verdict: Verdict
) -> None:
    """It ended, and as the network has it; who was not accounted for was in doubt."""
    sid, status, code = message.sid, message.status, message.error_code
    assert is_finished(message), f"{sid} never ended"
    assert not message.in_doubt, sid
    doubted = any(line.name == "doubted" for line in history)
    handed = any(line.name == "handed" for line in history)
    behaviour = PHONES[asked.to]
    verdict.in_doubt += doubted
    if asked.canceled or status is Status.CANCELED:
        assert asked.cancel_asked, f"{sid} was canceled by nobody"
        assert (accepted, status) == (False, Status.CANCELED), f"{sid}: {status}, canceled"
        verdict.canceled += 1
    elif not accepted:
        if doubted:
            assert (status, code) == (Status.UNDELIVERED, 30008), f"{sid}: {status} {code}"
        else:
            assert (status, code) == (Status.FAILED, 30036), f"{sid}: {status} {code}, never sent"
            assert any(line.at_ms >= message.expires_ms for line in history), f"{sid} too early"
            verdict.expired += 1
    elif behaviour is Behaviour.SILENT:
        want = (Status.SENT, None) if handed else (Status.UNDELIVERED, 30008)
        assert (status, code) == want, f"{sid}: {status} {code}"
        assert handed or doubted, f"{sid} is unaccounted for"
    elif behaviour in ERROR_CODES:
        assert (status, code) == (Status.UNDELIVERED, ERROR_CODES[behaviour]), f"{sid}: {status}"
    else:
        assert (status, code) == (Status.DELIVERED, None), f"{sid}: {status} {code}"


def judge_sender(
    asked: Asked, message: Message, history: list[Line], senders: dict[str, str], verdict: Verdict
) -> None:
    """Chosen once, of the pool, the same for the same person; and not before its time."""
    chosen = [line for line in history if line.name == "chosen"]
    assert len(chosen) <= 1, f"{asked.sid}: two senders"
    if not chosen:
        return
    sender = message.from_.reveal() if message.from_ is not None else message.from_shown
    assert sender in POOL, asked.sid
    assert senders.setdefault(asked.to, sender) == sender, f"{asked.sid}: another sender"
    assert chosen[0].at_ms >= asked.send_at_ms, f"{asked.sid} went too early"
    verdict.scheduled += asked.send_at_ms > 0


def judge_content(world: World, asked: Asked, message: Message, verdict: Verdict) -> None:
    """Redacted, discarded and obfuscated parts are gone, and nothing else is."""
    content, address = (world.server.slots.read(ref) is not None for ref in asked.refs)
    gone = asked.discard or asked.redacted_ms is not None
    verdict.redacted += gone
    assert gone <= (not content), f"the body of {asked.sid} still opens"
    assert asked.obfuscate <= (not address), f"the numbers of {asked.sid} still open"
    forgotten = gone or asked.redact_asked or asked.delete_asked
    assert content or forgotten, f"the body of {asked.sid} is lost"
    assert address or asked.obfuscate or asked.delete_asked, f"the numbers of {asked.sid} are lost"
    assert (message.body is None) == (not content)
    assert message.body is None or message.body.reveal() == asked.body
    assert (message.to.reveal() if message.to else message.to_shown) == (
        asked.to if address else asked.to[:-4] + "XXXX"
    )


def judge_calls(asked: Asked, calls: list[Attempt], history: list[Line] | None) -> None:
    """Each status was told, in order, under one token; nothing of what was forgotten."""
    sid = asked.sid
    tokens: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        tokens[call.status].add(call.token)
    assert all(len(found) == 1 for found in tokens.values()), f"{sid}: two tokens for one status"
    assert len(set().union(*tokens.values())) == len(tokens), f"{sid}: one token for two"
    ranks = [RANK[Status(status)] for status in tokens]
    assert ranks == sorted(ranks), f"{sid}: first attempts out of order: {[*tokens]}"
    forgotten_ms = min(t for t in (asked.deleted_ms, asked.redacted_ms, 1 << 62) if t is not None)
    assert all(c.at_ms <= forgotten_ms for c in calls), f"{sid}: told what was forgotten"
    if history is None or asked.callback is None:
        assert asked.callback is not None or not calls, f"{sid}: a callback nobody asked for"
        return
    redacted = [line.at_ms for line in history if line.name == "redacted"]
    if asked.discard and redacted:
        assert all(c.at_ms <= redacted[-1] for c in calls), f"{sid}: told after its redaction"
    if asked.obfuscate and not (asked.redact_asked or asked.discard) and redacted:
        shown = {c.to for c in calls if c.at_ms > redacted[0]}
        assert shown <= {asked.to[:-4] + "XXXX"}, f"{sid}: a forgotten number was told"
    reached = {line.status for line in history[1:]} & CALLED_BACK  # its first status is not told
    if not (asked.redact_asked or asked.delete_asked):
        assert reached == {Status(s) for s in tokens}, f"{sid}: {reached} but {[*tokens]} told"
    assert {Status(s) for s in tokens} <= reached, f"{sid}: a status was told that never was"


def judge_disk(world: World) -> None:
    """No body and no person's number stands in any file; nothing is left to do."""
    for path in world.data.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert BODY not in content, f"a body in {path.name}"
        assert NUMBER.search(content) is None, f"a person's number in {path.name}"
    tasks = [tuple(row) for row in world.server.store._reader._execute("SELECT * FROM task", ())]
    assert not tasks, f"left to do: {tasks}"
    assert world.server.busy() == 0


def judge_vault(world: World) -> None:
    """After the last stop: the keys on the disk are those that rows name, and all of these."""
    db = Database(world.settings.database_path, readonly=True)
    referenced = {row[5] for row in db.rows("accounts")} | {row[3] for row in db.rows("peppers")}
    for _, content_key, address_key, _ in db.rows("key_refs", -1, 1000):
        referenced |= {content_key, address_key} - {None}
    db.close()
    slots = Slots.open(world.data / "vault", read_root(DEFAULT, Surroundings(world.data, {})))
    kept = set(slots.snapshot())
    slots.close()
    assert not kept - referenced, f"{len(kept - referenced)} keys that no row names"
    assert not referenced - kept, f"{len(referenced - kept)} rows without their key"
