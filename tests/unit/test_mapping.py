"""Where an action's fields come from."""

import pytest

from hushwire.connect.mapping import read_mapping, resolve
from hushwire.connect.refused import Refused

MAPPING = read_mapping({
    "to": {"attribute": "phone"},
    "from": {"constant": "+15005550006"},
    "body": {"template": "Hello {{ name }}, {{name}}: {{points}} points"},
    "media_url": {"attribute": "pictures"},
    "provide_feedback": {"constant": True},
})  # fmt: skip


def test_constants_attributes_and_templates() -> None:
    """T-26: array attributes feed media_url."""
    found = resolve(
        MAPPING,
        {"phone": "+14155550123", "name": "Ada", "points": 7, "pictures": ["http://a", "http://b"]},
    )
    assert found == {
        "to": "+14155550123", "from": "+15005550006", "body": "Hello Ada, Ada: 7 points",
        "media_url": ["http://a", "http://b"], "provide_feedback": True,
    }  # fmt: skip


def test_a_cell_may_hold_several_urls() -> None:
    """T-26: a table has no arrays."""
    given = {"name": "", "points": "1", "pictures": "http://a  http://b"}
    assert resolve(MAPPING, given)["media_url"] == ["http://a", "http://b"]


def test_what_has_no_value_is_left_out() -> None:
    """T-26."""
    found = resolve(MAPPING, {"name": "A", "points": 0, "pictures": [], "phone": None})
    assert found.keys() == {"from", "body", "provide_feedback"}


@pytest.mark.parametrize("value", [None, ["Ada"], {"first": "Ada"}])
def test_a_template_needs_a_text(value: object) -> None:
    """T-28: nobody gets "Hello {{name}}"; the reason names the attribute and not its value."""
    with pytest.raises(Refused) as refused:
        resolve(MAPPING, {"name": value, "points": 1})
    assert refused.value.field == "body"
    assert "name" in refused.value.text
    assert "Ada" not in refused.value.text


@pytest.mark.parametrize("source", ["phone", {}, {"attribute": 1}, {"constant": "a", "x": 1}, None])
def test_another_source_is_refused(source: object) -> None:
    with pytest.raises(Refused) as refused:
        read_mapping({"to": source})
    assert refused.value.field == "to"
