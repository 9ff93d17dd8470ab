"""The pytest plugin: the fixture `hushwire`. Found through the entry point `pytest11`."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from hushwire.testing.fixture import Hushwire
from hushwire.testing.receiver import Receiver
from hushwire.testing.server import ServerProcess

# Who wants the same account in every run chooses it in the environment, as for `hushwire up`.
CHOSEN: Final = ("HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN")


@pytest.fixture(scope="session")
def hushwire_server() -> Iterator[ServerProcess]:
    """The server process that the tests of a session share, in a directory of its own."""
    chosen = {name: os.environ[name] for name in CHOSEN if os.environ.get(name)}
    # Not below pytest's own directory, which outlives the session: keys and texts are in it.
    with (
        TemporaryDirectory(prefix="hushwire-test-") as home,
        ServerProcess(Path(home) / "data", settings=chosen, detached=True) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def _hushwire_receiver() -> Iterator[Receiver]:  # pyright: ignore[reportUnusedFunction]
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def hushwire(hushwire_server: ServerProcess, _hushwire_receiver: Receiver) -> Iterator[Hushwire]:
    """A messaging server of your own that speaks Twilio's API: see `Hushwire`."""
    fixture = Hushwire(hushwire_server, _hushwire_receiver)
    yield fixture
    fixture.forget()
    with _hushwire_receiver.arrived:
        _hushwire_receiver.callbacks.clear()
