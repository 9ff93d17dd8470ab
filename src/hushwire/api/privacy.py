"""An account's privacy settings: Twilio has them in its console, so under a path of our own."""

from typing import Final

from msgspec import DecodeError, json
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.privacy import PrivacySettings, Settings
from hushwire.api.door import Door, answer
from hushwire.api.wire import read_body
from hushwire.domain.scan import Finding
from hushwire.errors import Refusal

_PERMISSION: Final = "hushwire/privacy"


class PrivacyResource:
    """`GET`, `PUT` and `PATCH /hushwire/v1/accounts/{sid}/privacy`; `POST …/privacy/scan`."""

    def __init__(self, settings: PrivacySettings, door: Door) -> None:
        self._settings = settings
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/privacy"
        return [
            Route(path, self._one, methods=["GET", "PUT", "PATCH"]),
            Route(f"{path}/scan", self.scan, methods=["POST"]),
        ]

    async def fetch(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_PERMISSION}/read")
        return answer(200, _json(self._settings.read(account)))

    async def change(self, request: Request) -> Response:
        content = await read_body(request.receive)  # the settings may change while it comes
        account = self._door.path_account(request, f"{_PERMISSION}/update")
        settings, found = self._settings.change(account, object_of(content))
        return answer(200, {**_json(settings), "scan": _findings(found)})

    async def scan(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_PERMISSION}/scan")
        return answer(200, {"scan": _findings(self._settings.scan(account))})

    async def _one(self, request: Request) -> Response:
        return await (self.fetch(request) if request.method == "GET" else self.change(request))


async def read_object(request: Request) -> dict[str, object]:
    """The body of a request as a JSON object. Raises Refusal when it is none."""
    return object_of(await read_body(request.receive))


def object_of(content: bytes) -> dict[str, object]:
    """A body as a JSON object. Raises Refusal when it is none: ask for credentials first."""
    try:
        return json.decode(content, type=dict[str, object])
    except (DecodeError, UnicodeDecodeError):  # also what is JSON and no object
        raise Refusal("privacy_not_an_object") from None


def _json(settings: Settings) -> dict[str, object]:
    privacy = settings.privacy
    return {
        "redact_body": privacy.redact_body,
        "redact_numbers": privacy.redact_numbers,
        "scan_profile": privacy.scan_profile,
        "display": privacy.display,
        "windows_s": asdict(settings.windows),
    }


def _findings(found: list[Finding]) -> list[dict[str, object]]:
    return [asdict(finding) for finding in found]
