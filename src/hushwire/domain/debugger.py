"""The debugger webhook: where an account is told of its alerts (twilio-messaging 9.3)."""

from hushwire.domain.owned import Owned


class Debugger(Owned, frozen=True, kw_only=True):
    """One an account. Its SID is our own: Twilio gives it none."""

    url: str  # may hold credentials
