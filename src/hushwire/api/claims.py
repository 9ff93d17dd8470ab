"""Claims: what a webhook by GET did not carry (`get_webhooks = thin`). Ours, not Twilio's."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.api.door import Door, answer, not_found
from hushwire.webhooks.claims import Claims

CLAIMS: Final = "/hushwire/v1/claims"
PERMISSION: Final = "twilio/messaging/messages/read"  # a claim shows what the message does


class ClaimResource:
    """The parameters of one webhook, for who has its token and the account's credentials."""

    def __init__(self, claims: Claims, door: Door) -> None:
        self._claims = claims
        self._door = door

    def routes(self) -> list[Route]:
        return [Route(f"{CLAIMS}/{{token}}", self.take, methods=["GET"])]

    async def take(self, request: Request) -> Response:
        """The parameters, name → value, once. Used, late and foreign tokens are as unknown."""
        account = self._door.caller(request, PERMISSION).account
        params = self._claims.take(account.id, request.path_params["token"])
        if params is None:
            raise not_found(request)
        return answer(200, dict(params))
