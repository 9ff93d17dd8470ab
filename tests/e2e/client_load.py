"""Clients that send, redact and delete without pause, and note what they were promised."""

import http.client
import json
import random
import threading
import time
from base64 import b64encode
from urllib.parse import quote, urlsplit

from real_process import FORM, Process

from picture_host import PictureHost

OLD_S = 0.15  # a message of this age is most likely delivered
WITH_MEDIA = 0.1  # of all messages


class Load:
    """Client threads that work while a server is named with `aim`.

    Every promise is noted after its answer came whole; what was asked and not answered is
    noted as asked.
    """

    def __init__(self, callback: str, threads: int = 6, seed: int = 1) -> None:
        self.promised: dict[str, float] = {}  # SIDs answered 201 → when
        self.asked_to_delete: set[str] = set()
        self.deleted: set[str] = set()  # answered 204
        self.asked_to_redact: set[str] = set()
        self.redacted: set[str] = set()  # answered 200
        self.failures: list[str] = []  # answers that no kill explains
        self._callback = callback
        self.pictures = PictureHost()  # until the last message was settled
        self._old: list[str] = []  # promised, and not yet asked to be forgotten
        self._lock = threading.Lock()
        self._target: Process | None = None
        self._over = False
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed * 1000 + n),), daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def aim(self, server: Process | None) -> None:
        """Work on this server from now on; None: rest."""
        self._target = server

    def close(self) -> None:
        """End the threads; each first gets the answer it waits for."""
        self._over = True
        for thread in self._threads:
            thread.join(30)

    def _work(self, chance: random.Random) -> None:
        link: _Link | None = None
        while not self._over:
            server = self._target
            if server is None:
                time.sleep(0.005)
                continue
            try:
                if link is None or link.url != server.url:
                    link = _Link(server)
                self._step(link, chance)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                link = None  # the server died: what was asked is unanswered
                time.sleep(0.005)

    def _step(self, link: "_Link", chance: random.Random) -> None:
        draw = chance.random()
        if draw < 0.1 and (sid := self._pick()) is not None:
            if draw < 0.05:
                self._delete(link, sid)
            else:
                self._redact(link, sid)
            return
        to = f"+1415555{chance.randrange(100, 200):04}"
        form = f"To={quote(to)}&From={quote(link.number)}&Body=Load&StatusCallback="
        form += quote(self._callback, safe="")
        if chance.random() < WITH_MEDIA:
            form += f"&MediaUrl={quote(self.pictures.url('/cat.png'), safe='')}"
        status, body = link.ask("POST", link.messages, form)
        if status == 201:
            sid = json.loads(body)["sid"]
            with self._lock:
                self.promised[sid] = time.monotonic()
                self._old.append(sid)
        elif status not in (429, 503):
            self.failures.append(f"create: {status}")

    def _pick(self) -> str | None:
        """A message to forget: old enough to be finished."""
        with self._lock:
            if not self._old or time.monotonic() - self.promised[self._old[0]] < OLD_S:
                return None
            return self._old.pop(0)

    def _delete(self, link: "_Link", sid: str) -> None:
        self.asked_to_delete.add(sid)
        status, _ = link.ask("DELETE", link.message(sid))
        if status == 204:
            self.deleted.add(sid)
        elif status not in (404, 409, 503):
            self.failures.append(f"delete: {status}")
        if status == 409:  # not finished: nothing was done
            self.asked_to_delete.discard(sid)
            self._again(sid)

    def _redact(self, link: "_Link", sid: str) -> None:
        self.asked_to_redact.add(sid)
        status, _ = link.ask("POST", link.message(sid), "Body=")
        if status == 200:
            self.redacted.add(sid)
        elif status not in (404, 409, 503):
            self.failures.append(f"redact: {status}")
        if status == 409:
            self.asked_to_redact.discard(sid)
            self._again(sid)

    def _again(self, sid: str) -> None:
        with self._lock:
            self._old.append(sid)


class _Link:
    """A kept-alive connection to one life of the server."""

    def __init__(self, server: Process) -> None:
        self.url = server.url
        self.number = server.number
        self.messages = server.messages_path
        self.message = server.message_path
        basic = b64encode(f"{server.sid}:{server.token}".encode()).decode()
        self._headers = {**FORM, "Authorization": f"Basic {basic}"}
        parts = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def ask(self, method: str, path: str, form: str | None = None) -> tuple[int, bytes]:
        self._connection.request(method, path, form, self._headers)
        with self._connection.getresponse() as answer:
            return answer.status, answer.read()
