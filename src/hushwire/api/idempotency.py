"""How a create names itself on the wire: a header, and the form in one spelling.

Twilio's API documents no such header on messages; clients send these two all the same.
"""

from typing import Final

from hushwire.api.wire import Form, Headers, encode
from hushwire.errors import Refusal
from hushwire.private import Private

KEY_BYTES_MAX: Final = 255
REPLAYED: Final = (b"idempotent-replayed", b"true")
_NAMES: Final = frozenset({b"idempotency-key", b"i-twilio-idempotency-token"})


def idempotency_key(headers: Headers) -> Private | None:
    """The key a create names itself by, or None. Raises Refusal for an unusable one."""
    for name, value in headers:
        if name in _NAMES:
            given = {other for known, other in headers if known in _NAMES}
            if len(given) > 1 or not 1 <= len(value) <= KEY_BYTES_MAX:
                raise Refusal("idempotency_key_invalid")
            return Private(value.decode("latin-1"))
    return None


def canonical(form: Form) -> Private:
    """The same text for the same parameters, in whatever order and encoding they came."""
    return Private(encode(sorted(form.items())).decode())
