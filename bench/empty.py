"""The ceiling: the server's own uvicorn configuration around a handler that does nothing.

    python bench/empty.py PORT

It reads the body and answers a fixed 201 of 760 bytes, about the size of a message resource.
"""

import gc
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

BODY = b'{"sid":"SM' + b"0" * 32 + b'","padding":"' + b"x" * 703 + b'"}'
READY = {
    "type": "http.response.start",
    "status": 201,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"760")],
}
ANSWER = {"type": "http.response.body", "body": BODY}

Event = MutableMapping[str, Any]


async def app(
    scope: Event,
    receive: Callable[[], Awaitable[Event]],
    send: Callable[[Event], Awaitable[None]],
) -> None:
    """Answer every request alike, once its body is read."""
    while (await receive()).get("more_body"):
        pass
    await send(READY)
    await send(ANSWER)


def main() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # as the server has it
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    assert len(BODY) == 760
    main()
