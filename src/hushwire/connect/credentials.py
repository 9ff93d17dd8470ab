"""What proves to a backend who asks: account SID and token, or an API key (HTTP Basic)."""

from base64 import b64encode
from typing import Final

from hushwire.private import Private


class Basic:
    """`AC…` and its token, or `SK…` and its secret."""

    def __init__(self, user: str, password: Private) -> None:
        self.user: Final = user
        self._password = password

    async def header(self, *, renewed: bool = False) -> str:
        pair = f"{self.user}:{self._password.reveal()}".encode()
        return f"Basic {b64encode(pair).decode()}"


class Passed:
    """The credentials that came with a request, passed on as they are."""

    def __init__(self, header: Private) -> None:
        self._header = header

    async def header(self, *, renewed: bool = False) -> str:
        return self._header.reveal()
