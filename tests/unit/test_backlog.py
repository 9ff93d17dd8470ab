"""Nothing unbounded between socket and disk: beyond the backlog a create is put off."""

import asyncio
from base64 import b64encode
from io import StringIO
from pathlib import Path

from hushwire.assemble import Server
from hushwire.observe import Journal
from hushwire.settings import load


def test_beyond_the_backlog_a_create_answers_429_and_when_to_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        settings = load(
            {"data": str(tmp_path / "data"), "accept_backlog": 1, "disk_reserve_mb": 0,
             "vault_slots_per_file": 1_024}, {},
        )  # fmt: skip
        server = Server(settings, Journal(StringIO()))
        await server.open()
        app, account = server.app(), server.account
        basic = b64encode(f"{account.sid}:{account.auth_token.reveal()}".encode())

        async def create() -> tuple[int, dict[bytes, bytes], bytes]:
            events: list[dict] = []  # type: ignore[type-arg]

            async def receive() -> dict[str, object]:
                body = b"To=%2B14155550123&From=%2B15005550006&Body=Hello"
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(event: dict) -> None:  # type: ignore[type-arg]
                events.append(event)

            path = f"/2010-04-01/Accounts/{account.sid}/Messages.json"
            scope = {"type": "http", "method": "POST", "path": path, "query_string": b"",
                     "headers": [(b"authorization", b"Basic " + basic)]}  # fmt: skip
            await app(scope, receive, send)
            return events[0]["status"], dict(events[0]["headers"]), events[1]["body"]

        # Both come before the tick ends: the first waits for its commit, the second is too much.
        first, second = await asyncio.gather(create(), create())
        assert first[0] == 201
        assert second[0] == 429
        assert second[1][b"retry-after"] == b"1"
        assert b'"code":20429' in second[2]
        again = await create()
        assert again[0] == 201
        await server.close()

    asyncio.run(main())
