"""Content templates, against a real store: made, listed, changed, deleted."""

from pathlib import Path

from estate import Estate, on_estate
from hushwire.domain.template import Content, read_content, render
from hushwire.private import Private

GREETING = (
    b'{"language":"en","variables":{"1":"you"},"types":{"twilio/text":{"body":"Hello {{1}}"},'
    b'"twilio/location":{"latitude":39.7392,"longitude":104.9903}}}'
)


def greeting() -> Content:
    return read_content(GREETING)


def test_made_changed_listed_deleted_and_kept(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        actions, account = estate.contents, estate.account
        first, second = (actions.create(account, greeting()) for _ in range(2))
        assert first.sid.startswith("HX")
        assert first.sid != second.sid
        assert actions.list(account) == [second, first]
        assert actions.list(estate.child) == []
        assert actions.find(estate.child.id, first.sid) is None
        assert b"Hello" not in repr(estate.rig.rows("owned")).encode()
        estate.rig.clock.advance(1_000)
        assert actions.update(first, greeting()) is first, "nothing changed, nothing told"
        farewell = read_content(GREETING.replace(b"Hello", b"Goodbye"))
        changed = actions.update(first, farewell)
        assert changed.updated_ms == first.updated_ms + 1_000
        assert actions.find(account.id, first.sid) == changed
        actions.delete(second)
        assert actions.list(account) == [changed]

    on_estate(tmp_path, scene)


def test_a_template_still_renders_after_a_restart(tmp_path: Path) -> None:
    """The JSON of its types comes back as it went in."""

    def scene(estate: Estate) -> None:
        sid = estate.contents.create(estate.account, greeting()).sid
        found = estate.restarted().contents.find(estate.account.id, sid)
        assert found is not None
        assert found.content == greeting()
        for values, text in (({}, "Hello you"), ({"1": Private("Ada")}, "Hello Ada")):
            rendered = render(found.content, values)
            assert rendered.text is not None
            assert rendered.text.reveal() == text

    on_estate(tmp_path, scene)
