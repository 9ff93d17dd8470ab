"""A figure of the forgetting bench, and how it is written."""

from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    value: float
    unit: str
    of: str = ""  # what was measured
    at_most: float | None = None  # a goal

    @property
    def missed(self) -> bool:
        return self.at_most is not None and self.value > self.at_most

    def row(self) -> tuple[str, str, str]:
        digits = 0 if abs(self.value) >= 100 else 1
        goal = f"; at most {self.at_most:,.0f}" if self.at_most is not None else ""
        verdict = " MISSED" if self.missed else ""
        return self.what, f"{self.value:,.{digits}f} {self.unit}{verdict}", self.of + goal
