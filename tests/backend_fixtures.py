"""Fixtures of the three backends; a test module imports what it asks for."""

from collections.abc import Iterator

import pytest

from backends import Backend, Live, Recorded
from harness import RunningServer


@pytest.fixture(scope="session")
def cloud_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server that plays Twilio's cloud."""
    with RunningServer(tmp_path_factory.mktemp("cloud") / "data") as running:
        yield running


def _backend(name: str, request: pytest.FixtureRequest) -> Backend:
    if name == "recorded":
        return Recorded()
    server = request.getfixturevalue("cloud_server" if name == "cloud" else "server")
    return Live(server, cloud=name == "cloud")


@pytest.fixture(params=["hushwire", "cloud", "recorded"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """A Hushwire server, one that plays the cloud, and recorded answers."""
    return _backend(request.param, request)


@pytest.fixture(params=["hushwire", "cloud"])
def live(request: pytest.FixtureRequest) -> Backend:
    """A Hushwire server, and one that plays the cloud."""
    return _backend(request.param, request)
