"""Hundreds of kills run only when asked for: `make torture`, or `-m torture`."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "torture" in str(config.getoption("markexpr")):
        return
    asked = [item for item in items if item.get_closest_marker("torture") is None]
    if len(asked) < len(items):
        config.hook.pytest_deselected(
            items=[item for item in items if item.get_closest_marker("torture") is not None]
        )
        items[:] = asked
