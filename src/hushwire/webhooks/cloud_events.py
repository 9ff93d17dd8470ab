"""What is posted to a sink: CloudEvents 1.0 in a JSON array, signed.

An event is made when its turn comes, from the message as it is then: what was forgotten since
is not in it. Numbers of people are masked unless the sink asks for them; bodies never go.
"""

from collections.abc import Sequence
from hashlib import blake2b, sha256
from time import gmtime, strftime
from typing import Final
from urllib.parse import urlsplit

from msgspec import json

from hushwire.domain.account import Account
from hushwire.domain.message import Direction, Message
from hushwire.domain.privacy import Display, shown
from hushwire.domain.sid import parse_message_sid
from hushwire.domain.stream import SCHEMA_VERSION, TEST, TYPES, Numbers, Sink
from hushwire.private import Private
from hushwire.store.outbox import Parcel
from hushwire.store.owned import OwnedRecords
from hushwire.store.store import Store
from hushwire.webhooks.courier import Letter
from hushwire.webhooks.overrides import split
from hushwire.webhooks.signature import sign

BATCH_MAX: Final = 100  # events in one post
SCHEMAS: Final = "https://events-schemas.twilio.com"
_TYPE: Final = "application/json"


class EventWriter:
    """Writes the letters of sinks."""

    def __init__(self, owned: OwnedRecords, store: Store) -> None:
        self._owned = owned
        self._store = store

    def at_once(self, lane: str) -> int:
        sink = next((s for s in self._owned.every(Sink) if s.sid == lane), None)
        return BATCH_MAX if sink is None or sink.batch else 1

    def letter(self, lane: str, parcels: Sequence[Parcel]) -> Letter | None:
        """The events of these parcels; None when the sink is gone."""
        account = self._store.accounts.by_id[parcels[0].account_id]
        sink = self._owned.get(Sink, account.id, lane)
        if sink is None:
            return None
        body = json.encode([self._event(account, sink, parcel) for parcel in parcels])
        url, fragment = _with_hash(sink.destination, sha256(body).hexdigest())
        signature = sign(account.auth_token.reveal(), url, ())
        headers = {"Content-Type": _TYPE, "X-Twilio-Signature": signature}
        return Letter(url + fragment, headers, body)

    def _event(self, account: Account, sink: Sink, parcel: Parcel) -> dict[str, object]:
        kind, ms, code = parcel.detail.split(" ")
        at, seed = _iso8601(int(ms)), f"{parcel.detail} {parcel.subject}"
        if kind == TEST:
            test: dict[str, object] = {"test_id": parcel.subject}
            return _cloud_event(kind, seed, at, f"/v1/Sinks/{sink.sid}", test)
        ident = parse_message_sid(parcel.subject)
        message = self._store.load([ident.key]).get(ident.key) if ident is not None else None
        source = f"/2010-04-01/Accounts/{account.sid}/Messages/{parcel.subject}.json"
        data: dict[str, object] = {
            "accountSid": account.sid,
            "messageSid": parcel.subject,
            "eventName": kind,
            "messageStatus": kind.rpartition(".")[2],
            "timestamp": at,
            "errorCode": None if code == "-" else int(code),
            **(_of_message(message, account, sink.numbers) if message is not None else {}),
        }
        return _cloud_event(kind, seed, at, source, data)


def _of_message(message: Message, account: Account, numbers: Numbers) -> dict[str, object]:
    inbound = message.direction is Direction.INBOUND
    person = None if numbers == "full" else account.privacy.display
    return {
        "direction": message.direction,
        "from": _shown(message.from_, message.from_shown, person if inbound else None),
        "to": _shown(message.to, message.to_shown, None if inbound else person),
        "numSegments": message.segments,
        "numMedia": message.media,
    }


def _shown(live: Private | None, left: str | None, display: Display | None) -> str | None:
    """`display`: how much of a number may be seen; None: all of it."""
    if live is None:
        return left  # what remains of a forgotten number is masked already
    return live.reveal() if display is None else shown(live.reveal(), display)


def _cloud_event(
    kind: str, seed: str, at: str, source: str, data: dict[str, object]
) -> dict[str, object]:
    """The same id on every attempt, so that a repetition can be told."""
    known = TYPES.get(kind)
    schema = known.schema if known is not None else "EventStreams.TestSink"
    digest = blake2b(seed.encode(), digest_size=16).hexdigest()
    return {
        "specversion": "1.0",
        "type": kind,
        "source": source,
        "id": f"EZ{digest}",
        "dataschema": f"{SCHEMAS}/{schema}/{SCHEMA_VERSION}",
        "datacontenttype": _TYPE,
        "time": at,
        "data": data,
    }


def _iso8601(ms: int) -> str:
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(ms // 1000))}.{ms % 1000:03}Z"


def _with_hash(url: str, digest: str) -> tuple[str, str]:
    """The URL that names the body's SHA-256, as Twilio's validators want it, and its fragment."""
    base, _ = split(url)
    fragment = url[len(base) :]
    mark = "&" if urlsplit(base).query else "?"
    return f"{base.removesuffix('?')}{mark}bodySHA256={digest}", fragment
