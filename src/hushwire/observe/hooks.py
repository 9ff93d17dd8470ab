"""What libraries log and what nobody catches, led through the journal."""

import logging
import sys
import threading
from types import TracebackType

from hushwire.observe.journal import Journal, Level


class _Bridge(logging.Handler):
    """Hands records of Python's logging to the journal: never their text or arguments."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        severity: Level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        where = f"{record.filename}:{record.lineno}"
        self._journal.library(severity, record.name, where, error)


def route_logging(journal: Journal) -> None:
    """Send what libraries log (uvicorn, asyncio, warnings) through the journal, filtered.

    Run uvicorn with `log_config=None`, or it puts its own handlers back.
    """
    logging.raiseExceptions = False  # else a failing handler prints the record's arguments
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(journal)]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def install_exception_hook(journal: Journal) -> None:
    """Let errors that nobody caught (main, threads, finalizers) end in `journal.defect`."""

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            journal.defect(error.with_traceback(trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            journal.defect(args.exc_value)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            journal.defect(args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
