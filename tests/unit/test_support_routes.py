"""The support page says of every route of Twilio's that it is served, and of nothing else."""

import asyncio
import re
from io import StringIO
from pathlib import Path

from starlette.routing import Route

from hushwire.api import support
from hushwire.assemble import Server
from hushwire.observe import Journal
from hushwire.settings import Settings

OURS = (
    "/hushwire/", "/sandbox/", "/healthz", "/readyz", "/metrics",
    "/oauth/", "/.well-known/", "/v1/token", "/v2/token",  # docs/reference/oauth.md
)  # fmt: skip
VERSION = {("GET", "/2010-04-01"), ("GET", "/2010-04-01.json")}  # tells who asks that they may


def shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


async def routed(data: Path) -> set[tuple[str, str]]:
    server = Server(Settings(data=data, vault_slots_per_file=1024), Journal(StringIO()))
    await server.open()
    try:
        routes = [route for route in server.app()._rest.routes if isinstance(route, Route)]
        return {
            (method, shape(route.path))
            for route in routes
            if not route.path.startswith(OURS)
            for method in (route.methods or set()) - {"HEAD"}
        }
    finally:
        await server.close()


def test_what_is_routed_is_what_the_page_says(tmp_path: Path) -> None:
    listed = {(o.method, shape(o.path)) for o in support.OPERATIONS if o.served}
    found = asyncio.run(routed(tmp_path))
    assert found - listed - VERSION == set(), "routed, and not on the page"
    assert listed - found == set(), "on the page, and not routed"
    assert found >= VERSION
