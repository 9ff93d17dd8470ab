"""Short codes, against a real store: registered, listed, changed, given back."""

from pathlib import Path

import pytest

from estate import Estate, on_estate, refused
from hushwire.actions.shortcodes import ShortCodeFilter, shown_name
from hushwire.domain.account import ApiKey, Caller
from hushwire.domain.shortcode import ShortCode, ShortCodeSettings

HOOK = "https://user:secret@example.com/in"
ANY = ShortCodeFilter()


def registered(estate: Estate, digits: str = "72345", country: str = "US") -> ShortCode:
    return estate.short_codes.register(estate.caller, estate.account, digits, country)


def test_registered_found_changed_given_back(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        actions, account = estate.short_codes, estate.account
        code = registered(estate)
        assert code.sid.startswith("SC")
        assert (code.digits, code.country, shown_name(code)) == ("72345", "US", "72345")
        assert actions.by_digits("72345") == actions.find(account.id, code.sid) == code
        assert actions.find(estate.child.id, code.sid) is None
        estate.rig.clock.advance(1_000)
        changed = actions.update(code, {"friendly_name": "Votes", "sms_url": HOOK})
        assert shown_name(changed) == "Votes"
        assert changed.updated_ms == code.updated_ms + 1_000
        assert actions.update(changed, {"sms_url": HOOK}) is changed
        assert "secret" not in repr(estate.rig.rows("owned"))
        again = estate.restarted().short_codes
        assert again.by_digits("72345") == changed
        assert actions.update(changed, {"friendly_name": "", "sms_url": ""}).settings == (
            ShortCodeSettings()
        )
        actions.give_back(estate.caller, changed)
        assert actions.by_digits("72345") is estate.restarted().short_codes.by_digits("72345")
        assert actions.list(account, ANY) == []
        assert registered(estate).sid != code.sid, "it may be registered anew"

    on_estate(tmp_path, scene)


def test_lists_and_their_filters(tmp_path: Path) -> None:
    """7.3: a name is exact, digits are a pattern."""

    def scene(estate: Estate) -> None:
        for digits, country in (("72345", "US"), ("60123", "GB"), ("723450", "US")):
            registered(estate, digits, country)

        def listed(wanted: ShortCodeFilter) -> list[str]:
            return [code.digits for code in estate.short_codes.list(estate.account, wanted)]

        assert listed(ANY) == ["723450", "60123", "72345"]
        assert listed(ShortCodeFilter(digits="7234")) == ["723450", "72345"]
        assert listed(ShortCodeFilter(digits="6*123")) == ["60123"]
        assert listed(ShortCodeFilter(friendly_name="72345")) == ["72345"]
        assert listed(ShortCodeFilter(digits="x")) == []
        assert estate.short_codes.list(estate.child, ANY) == []

    on_estate(tmp_path, scene)


@pytest.mark.parametrize(
    ("digits", "country", "code"),
    [
        ("72345", "us", 20422), ("72345", "XX", 20422), ("72345", "", 20422),
        ("7234", "US", 20422), ("7234567", "US", 20422), ("7234a", "US", 20422),
        ("+72345", "US", 20422), ("", "GB", 20422), ("60000", "US", 21422), ("60000", "GB", 21422),
    ],
)  # fmt: skip
def test_what_cannot_be_registered(tmp_path: Path, digits: str, country: str, code: int) -> None:
    """A code has one owner: a message names it by its digits alone."""

    def scene(estate: Estate) -> None:
        estate.short_codes.register(estate.caller, estate.child, "60000", "GB")
        assert refused(lambda: registered(estate, digits, country)) == code
        assert estate.short_codes.list(estate.account, ANY) == []

    on_estate(tmp_path, scene)


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        code = registered(estate)
        for changes, expected in (
            ({"friendly_name": "x" * 65}, 20002), ({"sms_url": "http://10.0.0.1/"}, 21402),
            ({"sms_method": "PATCH"}, 21403), ({"sms_fallback_url": HOOK}, 21406),
        ):  # fmt: skip
            assert expected == refused(lambda c=changes: estate.short_codes.update(code, c))
        assert estate.short_codes.find(estate.account.id, code.sid) == code

    on_estate(tmp_path, scene)


def test_outside_the_sandbox_the_operator_registers(tmp_path: Path) -> None:
    """The first account's own token: no key, no subaccount, not even for itself."""

    def scene(estate: Estate) -> None:
        actions = estate.short_codes
        key = ApiKey("SK" + "0" * 32, 1, None, "main", (), b"", 0, 0)
        others = (Caller(estate.child), Caller(estate.account, key))
        for caller in others:
            assert (
                refused(lambda c=caller: actions.register(c, estate.child, "60000", "GB")) == 20006
            )
        code = actions.register(estate.caller, estate.child, "60000", "GB")
        assert code.account_id == estate.child.id
        for caller in others:
            assert refused(lambda c=caller: actions.give_back(c, code)) == 20006
        actions.give_back(estate.caller, code)
        assert actions.list(estate.child, ANY) == []

    on_estate(tmp_path, scene, sandbox=False)


def test_one_that_is_given_back_leaves_its_pool(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        code, shop = registered(estate), estate.service()
        estate.services.add(shop, "SC", code.sid)
        estate.short_codes.give_back(estate.caller, code)
        assert estate.now(shop).pool == ()
        assert estate.services.home(estate.account.id, code.sid) is None

    on_estate(tmp_path, scene)
