"""What a number or a service does with STOP, START and HELP: its own words, or nothing at all."""

from hushwire.domain.optout import NO_RULES, KeywordSet
from hushwire.domain.owned import Owned


class Keywords(Owned, frozen=True, kw_only=True):
    """The opt-out keywords of one scope: a number, a short code, or a service with its pool."""

    scope: str  # its SID
    filtering: bool = True  # False: keywords are texts like any other; the customer sees to them
    own: KeywordSet = NO_RULES  # beside the defaults
