"""Numbers, against a real store: found, bought, changed, handed over, released."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from estate import Estate
from hushwire.actions.numbers import NumberFilter, Order, Search, shown_name
from hushwire.domain.account import Account, ApiKey, Caller, Number, NumberSettings
from hushwire.domain.supply import available
from hushwire.errors import Refusal
from hushwire.private import Private
from rig import SENDER, START_MS, Rig, play

PHONE, OTHER = "+14155550101", "+14155550102"
HOOK, FALLBACK = "https://user:secret@example.com/in?x=1", "https://example.com/fallback"


class Desk:
    """The actions, with the account of the first start as the caller."""

    def __init__(self, rig: Rig, *, sandbox: bool = True) -> None:
        self.rig = rig
        self.numbers = Estate(rig, sandbox=sandbox).numbers
        self.account = rig.account
        self.caller = Caller(self.account)
        self.child = rig.store.accounts.by_sid.get("AC" + "c" * 32) or self.account_of("c", 1)

    def account_of(self, letter: str, owner_id: int | None) -> Account:
        return self.rig.store.accounts.open(
            "AC" + letter * 32, "", Private(letter * 32), None, letter, START_MS, owner_id
        )

    def buy(
        self, phone: str | None = PHONE, account: Account | None = None, **order: object
    ) -> Number:
        wanted = Order(phone=phone, **order)  # type: ignore[arg-type]
        return self.numbers.buy(self.caller, account or self.account, wanted)

    def update(self, number: Number, **changes: str) -> Number:
        return self.numbers.update(self.caller, number, changes)

    def listed(self, account: Account | None = None, **wanted: str) -> list[str]:
        found = self.numbers.list(account or self.account, NumberFilter(**wanted))  # type: ignore[arg-type]
        return [number.phone for number in found]


def at_desk(directory: Path, scene: Callable[[Desk], None], *, sandbox: bool = True) -> None:
    async def with_rig(rig: Rig) -> None:
        scene(Desk(rig, sandbox=sandbox))

    play(directory, with_rig)


def code(call: Callable[[], object]) -> int:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.problem.code


# Buy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling", [PHONE, "(415) 555-0101", " 14155550101", "1-415-555-0101", "+1 415 555 0101"]
)
def test_a_number_is_bought_in_any_spelling(tmp_path: Path, spelling: str) -> None:
    """K-6: one number, whatever its spelling."""

    def scene(desk: Desk) -> None:
        number = desk.buy(spelling)
        assert (number.phone, number.account_id, number.mps) == (PHONE, desk.account.id, None)
        assert number.sid.startswith("PN")
        assert shown_name(number) == "(415) 555-0101"
        assert desk.numbers.find(desk.account, number.sid) == number
        assert desk.listed() == [PHONE, SENDER]

    at_desk(tmp_path, scene)


def test_what_was_bought_is_there_after_a_restart(tmp_path: Path) -> None:
    kept: list[Number] = []

    def before(desk: Desk) -> None:
        desk.buy(OTHER)
        number = desk.buy(settings={"sms_url": HOOK, "friendly_name": "Support"})
        kept.append(desk.numbers.set_pace(desk.caller, number, 2.5))
        gone = desk.numbers.find(desk.account, desk.rig.store.accounts.numbers[OTHER].sid)
        assert gone is not None
        desk.numbers.release(gone)

    def after(desk: Desk) -> None:
        assert desk.listed() == [PHONE, SENDER]
        assert desk.numbers.find(desk.account, kept[0].sid) == kept[0]
        assert desk.rig.store.accounts.paces[PHONE].mps == 2.5

    at_desk(tmp_path, before)
    at_desk(tmp_path, after)


def test_settings_are_sealed_on_the_disk(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        desk.buy(settings={"sms_url": HOOK, "friendly_name": "Clinic"})
        rows = repr(desk.rig.rows("number"))
        assert PHONE in rows
        assert "secret" not in rows
        assert "Clinic" not in rows

    at_desk(tmp_path, scene)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("33", 21421), ("hello", 21421), ("+1415555010", 21421), ("+999123456789", 21421),
        ("+15005550000", 21422), ("+15005550001", 21421),  # magic
        ("+15005550007", 21422), ("+15005550009", 21422),  # magic for messages
        (PHONE, 21422),  # owned by another
        (SENDER, 21422),
    ],
)  # fmt: skip
def test_what_cannot_be_bought(tmp_path: Path, phone: str, expected: int) -> None:
    def scene(desk: Desk) -> None:
        desk.buy(PHONE)
        assert code(lambda: desk.buy(phone, desk.child)) == expected
        assert desk.listed(desk.child) == []

    at_desk(tmp_path, scene)


def test_refusals_mask_the_number(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        desk.buy()
        with pytest.raises(Refusal, match="21422") as caught:
            desk.buy()
        assert caught.value.text == "+1415555XXXX is not available"
        with pytest.raises(Refusal) as caught:
            desk.buy("+15005550000")
        assert caught.value.text == "+15005550000 is not available"

    at_desk(tmp_path, scene)


def test_the_magic_number_is_had_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    """By its owner, with the settings of the last time; once it is released, by anybody."""

    def scene(desk: Desk) -> None:
        first = desk.buy(SENDER)
        assert first == desk.rig.store.accounts.numbers[SENDER]
        again = desk.buy(None, area_code="500", settings={"friendly_name": "Test"})
        assert (again.sid, shown_name(again)) == (first.sid, "Test")
        desk.numbers.release(again)
        assert desk.listed() == []
        assert desk.buy(SENDER, desk.child).sid != first.sid
        assert desk.listed(desk.child) == [SENDER]

    at_desk(tmp_path, scene)


def test_numbers_of_an_area_code(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        first, second = (desk.buy(None, area_code="415") for _ in range(2))
        assert first.phone != second.phone
        assert first.phone.startswith("+1415")
        assert second.phone.startswith("+1415")
        assert desk.buy(None, area_code="416").phone.startswith("+1416")  # Canada's
        free = desk.buy(None, area_code="888", kind="toll_free")
        assert free.phone.startswith("+1888")
        for area_code, expected in (
            ("533", 21452), ("199", 21452), ("888", 21452), ("41", 21451), ("4155", 21451),
            ("abc", 21451), ("", 21451), ("４15", 21451),
        ):  # fmt: skip
            assert code(lambda given=area_code: desk.buy(None, area_code=given)) == expected
        assert code(lambda: desk.buy(None)) == 20001

    at_desk(tmp_path, scene)


def test_a_number_is_of_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        assert code(lambda: desk.buy("+18885550101", kind="mobile")) == 21422
        assert code(lambda: desk.buy(PHONE, kind="toll_free")) == 21422
        assert desk.buy("+18885550101", kind="toll_free").phone == "+18885550101"
        assert desk.buy(SENDER, kind="mobile").phone == SENDER  # magic is of every kind

    at_desk(tmp_path, scene)


def test_a_bad_setting_buys_nothing(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        assert code(lambda: desk.buy(settings={"sms_url": "ftp://example.com/"})) == 21402
        assert desk.listed() == [SENDER]

    at_desk(tmp_path, scene)


# Without the sandbox ------------------------------------------------------------------------


def test_without_the_sandbox_the_operator_registers_numbers(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        main = ApiKey("SK" + "0" * 32, 1, None, "main", (), b"", 0, 0)
        order = Order(phone=PHONE)
        for caller in (Caller(desk.child), Caller(desk.account, main)):
            assert code(lambda by=caller: desk.numbers.buy(by, desk.child, order)) == 21422
        assert desk.buy(PHONE).phone == PHONE
        assert desk.buy(OTHER, desk.child).account_id == desk.child.id
        assert code(lambda: desk.buy(None, area_code="415")) == 21452
        assert code(lambda: desk.buy(None, area_code="500")) == 21452
        assert desk.buy("+15005550000").phone == "+15005550000"  # no magic here
        assert code(lambda: desk.buy(SENDER)) == 21422
        assert list(desk.numbers.countries()) == []

    at_desk(tmp_path, scene, sandbox=False)


# Search -------------------------------------------------------------------------------------


def test_a_search_finds_what_nobody_owns(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        desk = Desk(rig)
        search = Search("US", "local", area_code="510", contains="55*01")
        first = await desk.numbers.search(search, 3)
        assert list(first) == available("US", "local", area_code="510", contains="55*01", limit=3)
        assert len(first) == 3
        desk.buy(first[0].phone)
        second = await desk.numbers.search(search, 3)
        assert first[0] not in second
        assert len(second) == 3
        for capabilities, found in (
            ({"sms": True}, 3), ({"sms": False}, 0), ({"mms": True}, 3), ({"mms": False}, 0),
            ({"voice": True}, 0),
            ({"voice": False, "fax": False}, 3),
        ):  # fmt: skip
            able = Search("US", "local", capabilities=capabilities)
            assert len(await desk.numbers.search(able, 3)) == found, capabilities
        for bad, expected in (
            (Search("US", "local", area_code="5"), 21451),
            (Search("US", "local", contains="1"), 20422),
            (Search("US", "local", contains="!!"), 20422),
        ):
            with pytest.raises(Refusal) as caught:
                await desk.numbers.search(bad, 3)
            assert caught.value.problem.code == expected
        assert list(await Desk(rig, sandbox=False).numbers.search(search, 3)) == []

    play(tmp_path, scene)


# List ---------------------------------------------------------------------------------------


def test_filters_of_the_list(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        named = desk.buy(PHONE, settings={"friendly_name": "Support"}).phone
        free = desk.buy("+18885550103").phone
        mobile = desk.buy("+447911123456").phone
        foreign = desk.buy(OTHER, desk.child).phone
        everything = [mobile, free, named, SENDER]
        assert desk.listed() == everything
        assert desk.listed(desk.child) == [foreign]
        for partial, found in (
            (PHONE, [named]), ("415", [named]), ("+1415", [named]), ("+415", []),
            ("55501", [free, named]), ("888*5501", [free]), ("*", everything), ("+44*", [mobile]),
            (" 1415", [named]), ("(415) 555", [named]), ("(888) 555-0103", [free]),
            ("4155550102", []), (".*", everything), ("[0-9]", []), ("+", []), ("41a", []),
            ("1" * 40, []),
        ):  # fmt: skip
            assert desk.listed(phone=partial) == found, partial
        assert desk.listed(friendly_name="Support") == [named]
        assert desk.listed(friendly_name="(500) 555-0006") == [SENDER]  # the name it has unset
        assert desk.listed(friendly_name="support") == []
        assert (desk.listed(origin="twilio"), desk.listed(origin="hosted")) == (everything, [])
        assert desk.listed(kind="toll_free") == [free]
        assert desk.listed(kind="mobile") == [mobile]
        assert desk.listed(kind="local", phone="415") == [named]

    at_desk(tmp_path, scene)


# Update -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("friendly_name", "x" * 65, 20002),
        ("sms_url", "ftp://example.com/", 21402),
        ("sms_url", "http://10.0.0.1", 21402),
        ("sms_url", "http://a_b.example.com/", 21402),
        ("sms_fallback_url", "example.com", 21402),
        ("status_callback", "https://example.com/" + "a" * 3981, 21402),
        ("sms_method", "PUT", 21403),
        ("sms_fallback_method", "get", 21403),
        ("status_callback_method", "HEAD", 21403),
        ("sms_fallback_url", FALLBACK, 21406),
        ("sms_application_sid", "AP" + "0" * 32, 21420),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, field: str, value: str, expected: int) -> None:
    def scene(desk: Desk) -> None:
        number = desk.buy()
        assert code(lambda: desk.update(number, **{field: value})) == expected
        assert desk.numbers.find(desk.account, number.sid) == number

    at_desk(tmp_path, scene)


def test_settings_change_and_go_back(tmp_path: Path) -> None:
    wanted = {
        "friendly_name": "x" * 64, "sms_url": "https://example.com", "sms_method": "GET",
        "sms_fallback_url": FALLBACK, "sms_fallback_method": "GET", "status_callback": HOOK,
        "status_callback_method": "GET",
    }  # fmt: skip

    def scene(desk: Desk) -> None:
        bought = desk.buy()
        desk.rig.clock.advance(5_000)
        changed = desk.update(bought, **wanted)
        assert changed.settings == NumberSettings(**wanted)
        assert (changed.created_ms, changed.updated_ms) == (bought.created_ms, START_MS + 5_000)
        desk.rig.clock.advance(5_000)
        assert desk.update(changed, **wanted, sms_application_sid="") is changed
        assert code(lambda: desk.update(changed, sms_url="")) == 21406
        cleared = desk.update(changed, **dict.fromkeys(wanted, ""))
        assert cleared.settings == NumberSettings()
        assert shown_name(cleared) == "(415) 555-0101"

    at_desk(tmp_path, scene)


def test_an_old_url_is_no_obstacle(tmp_path: Path) -> None:
    """A URL that may not be called any more stands in the way of no other change."""

    def scene(desk: Desk) -> None:
        open_guard = Estate(desk.rig, allow_loopback=True).numbers
        local = {"sms_url": "http://127.0.0.1:8080/in"}
        number = open_guard.update(desk.caller, desk.buy(), local)
        assert desk.update(number, friendly_name="Desk").settings.sms_url == local["sms_url"]
        assert code(lambda: desk.update(number, **local)) == 21402

    at_desk(tmp_path, scene)


# Transfer and release -----------------------------------------------------------------------


def test_a_parent_hands_a_number_over(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        accounts, numbers = desk.rig.store.accounts, desk.numbers
        bought = desk.buy(settings={"sms_url": HOOK})
        moved = numbers.update(desk.caller, bought, {"friendly_name": "Theirs"}, desk.child.sid)
        assert (moved.sid, moved.account_id) == (bought.sid, desk.child.id)
        assert (moved.settings.sms_url, shown_name(moved)) == (HOOK, "Theirs")
        assert numbers.owner(moved) == desk.child
        assert numbers.find(desk.account, moved.sid) is None
        assert numbers.find(desk.child, moved.sid) == moved

        stranger = desk.account_of("d", None)
        asleep = desk.account_of("e", 1)
        accounts.change(replace(asleep, status="closed"))
        for sid, expected in (
            ("AC1", 21470), ("PN" + "0" * 32, 21470), ("AC" + "9" * 32, 21471),
            (stranger.sid, 21471),  # foreign is as unknown as none
            (asleep.sid, 21472),
        ):  # fmt: skip
            transfer = lambda to=sid: numbers.update(desk.caller, moved, {}, to)  # noqa: E731
            assert code(transfer) == expected, sid
        by_child = Caller(desk.child)
        assert code(lambda: numbers.update(by_child, moved, {}, desk.account.sid)) == 21474
        assert numbers.update(by_child, moved, {}, desk.child.sid) is moved  # it has it
        back = numbers.update(desk.caller, moved, {}, desk.account.sid)
        assert back.account_id == desk.account.id

    def after(desk: Desk) -> None:  # its settings were sealed for its owner
        assert desk.rig.store.accounts.numbers[PHONE].settings.sms_url == HOOK

    at_desk(tmp_path, scene)
    at_desk(tmp_path, after)


def test_a_released_number_is_free(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        number = desk.buy()
        desk.numbers.release(number)
        assert desk.numbers.find(desk.account, number.sid) is None
        assert PHONE not in repr(desk.rig.rows("number"))
        again = desk.buy(PHONE, desk.child)
        assert again.sid != number.sid
        assert again.settings == NumberSettings()

    at_desk(tmp_path, scene)


# Pace ---------------------------------------------------------------------------------------


def test_a_parent_sets_the_pace(tmp_path: Path) -> None:
    def scene(desk: Desk) -> None:
        number = desk.buy(PHONE, desk.child)
        paces = desk.rig.store.accounts.paces
        assert code(lambda: desk.numbers.set_pace(Caller(desk.child), number, 100.0)) == 20006
        slow = desk.numbers.set_pace(desk.caller, number, 0.5)
        assert (slow.mps, paces[PHONE].mps) == (0.5, 0.5)
        assert paces[PHONE].reserve(START_MS, 1) == START_MS
        assert paces[PHONE].reserve(START_MS, 1) == START_MS + 2_000
        renamed = desk.update(slow, friendly_name="Slow")  # and its timetable goes on
        assert paces[PHONE].reserve(START_MS, 1) == START_MS + 4_000
        free = desk.numbers.set_pace(desk.caller, renamed, None)
        assert free.mps is None
        assert [paces[PHONE].reserve(START_MS, 1) for _ in range(3)] == [START_MS] * 3

    at_desk(tmp_path, scene)
