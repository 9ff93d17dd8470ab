"""What is posted to a debugger webhook: an alert, as a signed form (twilio-messaging 9.3)."""

from collections.abc import Sequence
from time import gmtime, strftime
from typing import Final
from urllib.parse import urlencode

from msgspec import json

from hushwire.domain.alert import Alert, fields_of
from hushwire.domain.debugger import Debugger
from hushwire.store.accounts import Accounts
from hushwire.store.entries import Entries
from hushwire.store.outbox import Parcel
from hushwire.store.owned import OwnedRecords
from hushwire.webhooks.courier import Letter
from hushwire.webhooks.overrides import split
from hushwire.webhooks.payloads import CONTENT_TYPE
from hushwire.webhooks.signature import idempotency_token, sign

_JSON: Final = "application/json"


class DebuggerWriter:
    """Writes the letters of debugger webhooks, one an alert."""

    def __init__(self, owned: OwnedRecords, entries: Entries, accounts: Accounts) -> None:
        self._owned = owned
        self._entries = entries
        self._accounts = accounts

    def at_once(self, lane: str) -> int:
        return 1

    def letter(self, lane: str, parcels: Sequence[Parcel]) -> Letter | None:
        """The form for one alert; None when the webhook or the alert is gone."""
        (parcel,) = parcels
        debugger = self._owned.get(Debugger, parcel.account_id, lane)
        alert = self._entries.get(Alert, parcel.account_id, parcel.subject)
        if debugger is None or alert is None:
            return None
        account = self._accounts.by_id[parcel.account_id]
        parent = self._accounts.by_id[account.owner_id]
        form = form_of(alert, account.sid, parent.sid if parent is not account else None)
        url, _ = split(debugger.url)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-Twilio-Signature": sign(account.auth_token.reveal(), url, form),
            "I-Twilio-Idempotency-Token": idempotency_token(alert.sid, 0),
        }
        return Letter(debugger.url, headers, urlencode(form).encode("ascii"))


def form_of(alert: Alert, account_sid: str, parent_sid: str | None) -> list[tuple[str, str]]:
    """The fields, in the order they are signed. The parent is named for a subaccount only."""
    fields = {
        "AccountSid": account_sid,
        "Level": alert.level.upper(),
        "Payload": json.encode(payload_of(alert)).decode(),
        "PayloadType": _JSON,
        "Sid": alert.sid,
        "Timestamp": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(alert.at_ms // 1000)),
    }
    if parent_sid is not None:
        fields["ParentAccountSid"] = parent_sid
    return sorted(fields.items())


def payload_of(alert: Alert) -> dict[str, object]:
    """The alert and the webhook that failed: of its parameters and its answer only sizes."""
    more = fields_of(alert)
    payload: dict[str, object] = {
        "resource_sid": alert.subject,
        "service_sid": alert.service_sid,
        "error_code": str(alert.code),
        "more_info": {**more, "msg": more["Msg"]},
    }
    if alert.url is not None:
        payload["webhook"] = {
            "type": _JSON,
            "request": {
                "url": alert.url,
                "method": alert.method,
                "headers": {},
                "parameters": {name: f"<{size}>" for name, size in alert.sent},
            },
            "response": {
                "status_code": alert.http_status,
                "headers": {},
                "body": f"<{alert.answered_bytes}>" if alert.answered_bytes is not None else None,
            },
        }
    return payload
