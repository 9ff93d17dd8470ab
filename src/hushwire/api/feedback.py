"""Feedback: `POST …/Messages/{sid}/Feedback.json` (twilio-messaging 5.8)."""

from typing import Final, cast, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.feedback import FeedbackReports
from hushwire.actions.messages import Messages
from hushwire.api.auth import Authenticator
from hushwire.api.dates import rfc2822
from hushwire.api.door import Door, answer, form_of, not_found, one
from hushwire.domain.feedback import Outcome
from hushwire.errors import Refusal

_CREATE: Final = "twilio/messaging/feedback/create"


class FeedbackResource:
    """Twilio's Feedback, spoken to the actions."""

    def __init__(self, messages: Messages, reports: FeedbackReports, auth: Authenticator) -> None:
        self._messages = messages
        self._reports = reports
        self._door = Door(auth)

    def routes(self) -> list[Route]:
        path = "/2010-04-01/Accounts/{account_sid}/Messages/{message_sid}/Feedback.json"
        return [Route(path, self.create, methods=["POST"])]

    async def create(self, request: Request) -> Response:
        """Report an outcome; again to correct it. 200, not 201, as at Twilio."""
        form = await form_of(request)  # before the credentials: they may change while it comes
        account = self._door.path_account(request, _CREATE)
        outcome = _outcome(one(form, "Outcome"))
        message = self._messages.fetch(account, request.path_params["message_sid"])
        report = await self._reports.report(message, outcome) if message is not None else None
        if message is None or report is None:
            raise not_found(request)
        return answer(
            200,
            {
                "account_sid": account.sid,
                "message_sid": message.sid,
                "outcome": report.outcome,
                "date_created": rfc2822(report.created_ms),
                "date_updated": rfc2822(report.updated_ms),
                "uri": request.scope["path"],
            },
        )


def _outcome(text: str | None) -> Outcome:
    if text is None:
        return "confirmed"
    if text not in get_args(Outcome):
        raise Refusal("invalid_parameter", parameter="Outcome")
    return cast("Outcome", text)
