"""A server whose every trace is searched: every place that it, or a backup of it, writes to."""

from collections.abc import Iterator
from pathlib import Path

from canary_search import Canaries, Hit, files, process
from real_process import Process

from keeping_rig import back_up

FOLDERS = "data", "tmp", "cwd", "logs", "copy", "backups", "keys"


class Watch:
    """A server with a copy of its vault and backups that hold the vault, each in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.canaries = Canaries()
        self.folders = {name: folder / name for name in FOLDERS}
        for name, made in self.folders.items():
            if name != "data":
                made.mkdir()
        # What the commands must be told as well as the server.
        self.settings = {
            "HUSHWIRE_VAULT_COPY": str(self.folders["copy"]),
            "HUSHWIRE_VAULT_BACKUP": "7d",
            "HUSHWIRE_BACKUP_KEYS": str(self.folders["keys"] / "backup.keys"),
            "TMPDIR": str(self.folders["tmp"]),
        }
        self.server = Process(
            self.folders["data"], cwd=self.folders["cwd"], HUSHWIRE_LOG_LEVEL="debug",
            HUSHWIRE_CALLBACK_LOG="all", **self.settings,
        )  # fmt: skip
        self.server.log = self.folders["logs"] / "server.log"

    def back_up(self) -> Path:
        """A backup of now; where it is."""
        return back_up(self.server.data, self.folders["backups"], **self.settings)

    def sweep(self, canaries: Canaries | None = None) -> list[Hit]:
        """Every canary that is anywhere."""
        return (canaries or self.canaries).find(self.places())

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Every place by its name, and what is there now."""
        yield from files(*self.folders.values())
        running = self.server.process
        if running is not None and running.poll() is None:
            yield from process(running.pid)
            yield "/metrics", self.server.request("GET", "/metrics", auth=False)[2]

    def close(self) -> None:
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.kill()
