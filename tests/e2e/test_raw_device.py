"""The raw block device below the data directory: what was forgotten is not on it.

An ext4 image on a loop device holds everything the server writes. Thousands of messages are
redacted and deleted; then the image itself is searched: as a power cut would leave it, with the
server stopped in the midst of its work, and as an orderly end leaves it. A file that was
deleted from the same file system is found there, or the search proves nothing.
"""

import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from canary_search import Canaries
from key_images import WRAPPED, keys_of, wrapped_keys
from promise_checker import check_keys
from real_process import Process

from harness import wait_for
from keeping_rig import run

IMAGE_MB = 192
REDACTED, DELETED, KEPT = range(2_000), range(2_000, 4_400), range(4_400, 4_420)
KEYS_MIN = 6_400  # destroyed: one of a redacted message, two of a deleted one
THREADS = 4


@contextmanager
def mounted(image: Path, place: Path, data: str = "ordered") -> Generator[Path]:
    """The file system of an image, on a loop device, until the block ends."""
    place.mkdir()
    _or_skip("mount", "-o", f"loop,data={data},nodiscard", str(image), str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], timeout=60, check=True)


def formatted(image: Path) -> Path:
    """A new file with an empty ext4 file system in it."""
    with image.open("wb") as file:
        file.truncate(IMAGE_MB << 20)
    _or_skip("mkfs.ext4", "-q", "-F", str(image))
    return image


def _or_skip(*argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        pytest.skip(f"NOT TESTED on a raw device: no {argv[0]} ({error.strerror})")
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED on a raw device: no right to {argv[0]} ({done.stderr.strip()})")


class Many:
    """Messages in great number, each with a text and a person of its own."""

    def __init__(self, server: Process, canaries: Canaries) -> None:
        self.server = server
        self.sids: dict[int, str] = {}
        self._canaries = canaries
        self._client = httpx.Client(auth=(server.sid, server.token), base_url=server.url)

    def close(self) -> None:
        self._client.close()

    def send(self, numbers: Iterable[int]) -> None:
        """Send these, and wait until all are delivered."""
        forms = {
            n: {
                "To": self._canaries.number(f"{n}: to"), "From": self.server.number,
                "Body": self._canaries.text(f"{n}: body"),
            }
            for n in numbers
        }  # fmt: skip

        def send(n: int) -> None:
            answer = self._client.post(self.server.messages_path, data=forms[n])
            assert answer.status_code == 201, answer.text
            self.sids[n] = answer.json()["sid"]

        self._each(send, forms)
        wait_for(lambda: self._statuses() == {"delivered"}, within_s=60)

    def forget(self, redacted: Iterable[int], deleted: Iterable[int]) -> None:
        """Redact some and delete some. Each is gone from the disk when it is answered."""

        def redact(n: int) -> None:
            path = self.server.message_path(self.sids[n])
            assert self._client.post(path, data={"Body": ""}).status_code == 200

        def delete(n: int) -> None:
            path = self.server.message_path(self.sids[n])
            assert self._client.delete(path).status_code == 204

        self._each(redact, redacted)
        self._each(delete, deleted)

    def _each(self, work: Callable[[int], None], numbers: Iterable[int]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(work, numbers))

    def _statuses(self) -> set[str]:
        """Of all messages there are."""
        found: set[str] = set()
        path = f"{self.server.messages_path}?PageSize=1000"
        while path:
            page = self.server.json("GET", path)[1]
            found |= {message["status"] for message in page["messages"]}
            path = page["next_page_uri"]
        return found


def recorded(data: Path, sids: dict[int, str], canaries: Canaries) -> int:
    """Search for the keys of these messages, too, as they lie in the vault now. How many of
    them will be destroyed."""
    images, references = wrapped_keys(data / "vault"), keys_of(data, sids.values())
    count = 0
    for n, sid in sids.items():
        for part, reference in zip(("content", "address"), references[sid], strict=True):
            assert reference is not None
            lives = n in KEPT or (n in REDACTED and part == "address")
            canaries.key(f"{'live' if lives else 'destroyed'}: {n} {part}", images[reference])
            count += not lives
    return count


def leave_a_trace(place: Path, canaries: Canaries) -> None:
    """What a file leaves that is deleted: the text, and a key."""
    key = secrets.token_bytes(WRAPPED)
    canaries.key("deleted file: key", key)
    trace = place / "trace"
    trace.write_bytes(canaries.text("deleted file: text").encode() * 100 + key)
    subprocess.run(["sync", "-f", str(trace)], check=True, timeout=60)
    trace.unlink()


def found(image: Path, canaries: Canaries) -> tuple[set[str], int]:
    """What is on the raw device, and how many live keys are."""
    labels = {hit.label for hit in canaries.find([(image.name, image.read_bytes())])}
    live = {label for label in labels if label.startswith("live: ")}
    return labels - live, len(live)


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_nothing_forgotten_is_on_the_raw_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """M7, M12: 0 canaries and 0 of 6,400 wrapped keys on ext4 with `data=ordered`."""
    image, canaries = formatted(tmp_path / "disk.img"), Canaries()
    cut = tmp_path / "cut.img"
    with mounted(image, tmp_path / "disk") as disk:
        with Process(disk / "data") as server:
            many = Many(server, canaries)
            many.send([*REDACTED, *DELETED, *KEPT])
            destroyed = recorded(server.data, many.sids, canaries)
            assert destroyed >= KEYS_MIN
            many.forget(REDACTED, DELETED)
            leave_a_trace(disk, canaries)
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
            shutil.copyfile(image, cut)  # nothing is written back for it: as a power cut does
            server.process.send_signal(signal.SIGCONT)
            many.close()
            assert server.stop() == 0
        check_keys(disk / "data")
    expected = {"deleted file: text", "deleted file: key"}, len(REDACTED) + 2 * len(KEPT)
    assert found(image, canaries) == expected, "after an orderly end"
    assert found(cut, canaries) == expected, "as a power cut leaves it"
    with mounted(cut, tmp_path / "again") as disk, Process(disk / "data") as server:
        for n, status in ((0, 200), (DELETED[0], 404), (KEPT[0], 200)):
            got, message = server.json("GET", server.message_path(many.sids[n]))
            assert got == status
            if status == 200:
                assert message["body"] == (canaries.planted[f"{n}: body"] if n in KEPT else "")
        assert server.stop() == 0
        check_keys(server.data)
    with capsys.disabled():
        print(f"\n  {destroyed} keys and {len(canaries.planted)} canaries: none on the device ")


@pytest.mark.torture
def test_where_data_go_through_a_journal_a_destroyed_key_stays(tmp_path: Path) -> None:
    """M7: file systems of class B. It shows that the search would find a key, too."""
    image, canaries = formatted(tmp_path / "disk.img"), Canaries()
    with (
        mounted(image, tmp_path / "disk", data="journal") as disk,
        Process(disk / "data") as server,
    ):
        many = Many(server, canaries)
        many.send(DELETED[:200])
        destroyed = recorded(server.data, many.sids, canaries)
        many.forget((), many.sids)
        many.close()
        said = run("doctor", "--data", server.data)[1]
        assert server.stop() == 0
    (line,) = (line for line in said.splitlines() if "file system of vault" in line)
    assert "class B" in line
    labels, _ = found(image, canaries)
    assert destroyed == 400
    assert labels, "nothing stayed: is this file system of class A after all?"
    assert all(label.startswith("destroyed: ") for label in labels), "keys, and nothing in clear"
