"""Applications, against a real store: made, listed, changed, deleted, and named by numbers."""

from pathlib import Path

import pytest

from estate import Estate, on_estate, refused
from hushwire.actions.numbers import Order
from hushwire.domain.application import ApplicationSettings

PHONE, OTHER = "+14155550101", "+14155550102"
HOOK = "https://user:secret@example.com/in?x=1"


def test_made_changed_listed_deleted_and_kept(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        actions, account = estate.applications, estate.account
        plain = actions.create(account, {})
        assert plain.sid.startswith("AP")
        assert plain.settings == ApplicationSettings()
        named = actions.create(account, {"friendly_name": "Desk", "sms_url": HOOK})
        assert actions.list(account) == [named, plain]
        assert actions.list(account, "Desk") == [named]
        assert actions.list(account, "desk") == actions.list(estate.child) == []
        assert actions.find(estate.child.id, named.sid) is None
        estate.rig.clock.advance(1_000)
        changed = actions.update(named, {"message_status_callback": HOOK, "public_connect": True})
        assert changed.settings.sms_url == HOOK, "what is not named stays"
        assert changed.updated_ms == named.updated_ms + 1_000
        assert actions.update(changed, {"sms_url": HOOK}) is changed
        assert estate.restarted().applications.find(account.id, named.sid) == changed
        assert "secret" not in repr(estate.rig.rows("owned"))
        back = actions.update(changed, {"friendly_name": "", "sms_url": ""})
        assert (back.settings.friendly_name, back.settings.sms_url) == ("", "")
        actions.delete(back)
        assert actions.list(account) == estate.restarted().applications.list(account) == [plain]

    on_estate(tmp_path, scene)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"friendly_name": "x" * 65}, 20002),
        *(
            ({name: "ftp://example.com/"}, 21402)
            for name in ApplicationSettings.__struct_fields__
            if name.endswith(("_url", "_callback"))
        ),
        *(
            ({name: "put"}, 21403)
            for name in ApplicationSettings.__struct_fields__
            if name.endswith("_method")
        ),
        ({"sms_fallback_url": "https://example.com/"}, 21406),
        ({"voice_fallback_url": "https://example.com/"}, 21405),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, changes: dict[str, object], code: int) -> None:
    def scene(estate: Estate) -> None:
        actions = estate.applications
        assert refused(lambda: actions.create(estate.account, changes)) == code
        application = actions.create(estate.account, {})
        assert refused(lambda: actions.update(application, changes)) == code
        assert actions.list(estate.account) == [application]

    on_estate(tmp_path, scene)


def test_a_number_names_an_application_of_its_account(tmp_path: Path) -> None:
    """3.3: 21420 for one that is foreign or not there."""

    def scene(estate: Estate) -> None:
        own = estate.applications.create(estate.account, {})
        foreign = estate.applications.create(estate.child, {})
        number = estate.number(PHONE)

        def name(sid: str) -> str:
            changes = {"sms_application_sid": sid}
            after = estate.numbers.update(estate.caller, number, changes)
            return after.settings.sms_application_sid

        for unknown in (foreign.sid, "AP" + "0" * 32, "x"):
            assert refused(lambda sid=unknown: name(sid)) == 21420
            order = Order(OTHER, settings={"sms_application_sid": unknown})
            assert (
                refused(
                    lambda order=order: estate.numbers.buy(estate.caller, estate.account, order)
                )
                == 21420
            )
        assert name(own.sid) == own.sid
        assert name("") == ""

    on_estate(tmp_path, scene)


def test_a_deleted_application_is_named_by_nobody(tmp_path: Path) -> None:
    """As at Twilio: numbers that had it have none, in memory and on disk."""

    def scene(estate: Estate) -> None:
        gone, stays = (estate.applications.create(estate.account, {}) for _ in range(2))
        settings = {"sms_url": HOOK}
        one, two = estate.number(PHONE), estate.number(OTHER)
        for number, application in ((one, gone), (two, stays)):
            changes = {**settings, "sms_application_sid": application.sid}
            estate.numbers.update(estate.caller, number, changes)
        estate.rig.clock.advance(1_000)
        estate.applications.delete(gone)
        after = estate.rig.store.accounts.numbers
        assert after[PHONE].settings.sms_application_sid == ""
        assert after[PHONE].settings.sms_url == HOOK
        assert after[PHONE].updated_ms == one.updated_ms + 1_000
        assert after[OTHER].settings.sms_application_sid == stays.sid

    on_estate(tmp_path, scene)


def test_an_application_is_not_handed_over_with_a_number(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        own = estate.applications.create(estate.account, {})
        theirs = estate.applications.create(estate.child, {})
        for phone, changes, expected in (
            (PHONE, {}, ""), (OTHER, {"sms_application_sid": theirs.sid}, theirs.sid),
        ):  # fmt: skip
            number = estate.number(phone)
            named = {"sms_application_sid": own.sid, "sms_url": HOOK}
            number = estate.numbers.update(estate.caller, number, named)
            given = estate.numbers.update(estate.caller, number, changes, estate.child.sid)
            assert given.account_id == estate.child.id
            assert given.settings.sms_application_sid == expected
            assert given.settings.sms_url == HOOK
        kept = estate.number("+14155550103")
        changes = {"sms_application_sid": own.sid}
        assert (
            refused(lambda: estate.numbers.update(estate.caller, kept, changes, estate.child.sid))
            == 21420
        )

    on_estate(tmp_path, scene)
