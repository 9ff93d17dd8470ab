"""Deaths under load, and the end at which everything must be settled."""

import random
import time
from pathlib import Path
from typing import Self

from callback_sink import Sink
from client_load import Load
from promise_checker import (
    Found,
    Wire,
    check,
    live_keys,
    named_keys,
    named_objects,
    objects,
    read_database,
)
from real_process import Process

HOUR_S = 3_600
SHY = 40  # one callback of so many is answered 500 the first time


def shy(n: int) -> int:
    return 500 if n % SHY == SHY - 1 else 200


class Story:
    """One data directory, the processes that live and die on it, and their customers."""

    def __init__(self, data: Path, seed: int) -> None:
        self.server = Process(data)
        self.wire = Wire(data)
        self.sink = Sink(shy)
        self.load = Load(self.sink.url(), seed=seed)
        self.chance = random.Random(seed)
        self.deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing outlives a story, however it ends."""
        self.load.close()
        self.load.pictures.close()
        self.sink.close()
        process = self.server.process
        if process is not None and process.poll() is None:
            self.server.kill()

    def kill_soon(self) -> None:
        """A life that ends by `kill -9` under load; one of six before it accepts anything."""
        self.server.launch(**self._receipts())
        if self.chance.random() < 1 / 6:
            time.sleep(self.chance.uniform(0.1, 0.4))
        else:
            assert self.server.ready(), self.server.log.read_text()
            self.load.aim(self.server)
            time.sleep(self.chance.uniform(0.05, 0.6))
        self.server.kill()
        self._died()

    def die_at(self, point: str, n: int, within_s: float = 30) -> None:
        """A life that ends by itself where `point` is reached for the `n`-th time."""
        self.server.launch(HUSHWIRE_FAULT=f"{point}:{n}", **self._receipts())
        if self.server.ready():
            self.load.aim(self.server)
        assert self.server.ended(within_s) == -9, self.server.log.read_text()
        self._died()

    def _receipts(self) -> dict[str, str]:
        """How soon phones confirm in a life: before its end, or in a later life."""
        return {"HUSHWIRE_SIMULATOR_RECEIPT_MS": self.chance.choice(("0", "20", "1500"))}

    def _died(self) -> None:
        self.load.aim(None)
        self.wire.read()  # before the next life, which may compact the log
        self.deaths += 1

    def end(self) -> Found:
        """A last life without faults, until nothing is left to do; then everything is checked."""
        data = self.server.data
        with self.server:
            self.load.aim(self.server)
            time.sleep(0.3)
            self.load.close()
            settle(self.server)
            # The sweep runs beside the first requests: it is over when the two agree.
            _wait(lambda: live_keys(data) == named_keys(data), "the sweep did not end")
            _wait(lambda: objects(data) == named_objects(data), "objects and rows of media differ")
            assert self.server.stop() == 0, self.server.log.read_text()
        return check(data, self.load, self.wire, self.sink.noted)


def settle(server: Process, within_s: float = 60) -> None:
    """Move the clock on, past waits of messages in doubt and retries, until no task is left."""

    def settled() -> bool:
        status, _ = server.json("POST", "/sandbox/clock", {"advance_s": HOUR_S})
        assert status in (200, 202)
        return read_database(server.data)[1] == []

    _wait(settled, "tasks are left", within_s)


def _wait(condition: object, complaint: str, within_s: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)
