"""What the server tells about itself: the journal (log lines) and the metrics."""

from hushwire.observe.hooks import install_exception_hook, route_logging
from hushwire.observe.journal import Journal, Level
from hushwire.observe.metrics import Histogram, Metrics

__all__ = [
    "Histogram",
    "Journal",
    "Level",
    "Metrics",
    "install_exception_hook",
    "route_logging",
]
