"""How a command ends when it cannot do what it was asked: one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 usage, 75 try later, 78 configuration (as sysexits.h).
"""

from typing import Final

import click

EXIT_TRY_LATER: Final = 75  # EX_TEMPFAIL
EXIT_CONFIGURATION: Final = 78  # EX_CONFIG


class Failed(click.ClickException):
    """What was asked for cannot be done: exit 1."""


class TryLater(click.ClickException):
    """Not now: exit 75."""

    exit_code = EXIT_TRY_LATER


class Configuration(click.ClickException):
    """Something is set wrongly: exit 78. The text names it and the cure."""

    exit_code = EXIT_CONFIGURATION
