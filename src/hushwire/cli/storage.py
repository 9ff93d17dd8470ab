"""What the commands on stored data share: a progress bar, and disks that fail in one sentence."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Self

import apsw
from rich.console import Console
from rich.progress import Progress, TaskID

from hushwire.cli.exits import Failed, TryLater
from hushwire.keeping.backup import Busy
from hushwire.keeping.manifest import Unusable

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class Bar:
    """A progress bar on a terminal, on standard error; nothing anywhere else."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            console=console, transient=True, disable=not console.is_terminal
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@contextmanager
def storage_errors() -> Generator[None]:
    """What goes wrong with disks and backups, as a sentence and an exit code."""
    try:
        yield
    except Unusable as error:
        raise Failed(str(error)) from None
    except Busy as error:
        raise TryLater(str(error)) from None
    except apsw.FullError:
        raise TryLater("the disk is full: make room, then try again") from None
    except apsw.Error as error:
        raise Failed(f"the database cannot be read or written: {error}") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _NO_ROOM:
            raise TryLater(f"{where}the disk is full: make room, then try again") from None
        raise Failed(f"{where}{error.strerror or 'the disk failed'}") from None


def sized(count: int) -> str:
    """Bytes as people say it: `12.3 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
