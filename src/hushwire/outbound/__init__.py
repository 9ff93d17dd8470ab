"""The one way out: an HTTP client whose every connection passed the URL guard.

`HttpClient.post` answers with values (`Answer` or `Failure`), never with an exception for
what the network does. `Guard.check_syntax` tells before a URL is stored whether it can never
be called. See docs/adr/0003-callback-client.md.
"""

from hushwire.outbound.answer import Answer, Failure, FailureKind, Limits
from hushwire.outbound.client import HttpClient
from hushwire.outbound.connection import Ended
from hushwire.outbound.guard import Checked, Guard

__all__ = ["Answer", "Checked", "Ended", "Failure", "FailureKind", "Guard", "HttpClient", "Limits"]
