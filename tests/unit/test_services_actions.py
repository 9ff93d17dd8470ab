"""Messaging Services, against a real store: made, changed, deleted, and their pools."""

from pathlib import Path

import pytest

from estate import Estate, on_estate, refused
from hushwire.actions.numbers import Order
from hushwire.domain.routing import Options, Recipient, choose
from hushwire.domain.service import POOL_MAX, Member, ServiceSettings, sender_of
from rig import ALICE

PHONE, LONDON, TOLL_FREE = "+14155550101", "+442079460101", "+18005550101"
HOOK = "https://user:secret@example.com/in?x=1"


def test_a_service_begins_with_the_defaults_of_the_reference(tmp_path: Path) -> None:
    """7.6."""

    def scene(estate: Estate) -> None:
        service = estate.service("Shop")
        assert service.sid.startswith("MG")
        assert service.settings == ServiceSettings("Shop")
        assert (service.settings.validity_s, service.settings.use_case) == (36_000, "undeclared")
        assert (service.pool, service.account_id) == ((), estate.account.id)
        assert service.created_ms == service.updated_ms == estate.rig.clock.now_ms()
        assert estate.services.find(estate.child.id, service.sid) is None, "a foreign one"
        assert estate.services.list(estate.child) == []

    on_estate(tmp_path, scene)


def test_all_of_it_is_there_after_a_restart_and_sealed(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        first, second = estate.service("Shop", inbound_url=HOOK), estate.service("Clinic")
        estate.services.add(first, "PN", estate.number(PHONE).sid)
        estate.services.add_alphanumeric(estate.now(first), "ACME")
        again = estate.restarted()
        assert [s.sid for s in again.services.list(estate.account)] == [second.sid, first.sid]
        assert again.now(first) == estate.now(first)
        home = again.services.home(estate.account.id, again.now(first).pool[0].sid)
        assert home == again.now(first)
        on_disk = repr(estate.rig.rows("owned"))
        assert first.sid in on_disk
        assert not any(word in on_disk for word in ("secret", "Clinic", "ACME", PHONE))

    on_estate(tmp_path, scene)


def test_changes_and_what_an_empty_value_puts_back(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        service = estate.service("Shop")
        wanted = {
            "friendly_name": "Store", "inbound_url": HOOK, "inbound_method": "GET",
            "fallback_url": "https://example.com", "status_callback": "https://example.com/s",
            "sticky_sender": False, "validity_s": 60, "use_case": "poll",
        }  # fmt: skip
        estate.rig.clock.advance(5_000)
        changed = estate.services.update(service, wanted)
        assert changed == estate.now(service)
        assert {name: getattr(changed.settings, name) for name in wanted} == wanted
        assert changed.updated_ms == service.created_ms + 5_000 > changed.created_ms
        estate.rig.clock.advance(5_000)
        assert estate.services.update(changed, wanted) is changed, "nothing changed, nothing told"
        rest = {name: "" for name in wanted if name != "friendly_name"}
        back = estate.services.update(changed, {**rest, "friendly_name": "Shop"})
        assert back.settings == service.settings
        for create in (True, False):
            for changes, code in (
                ({"friendly_name": "x" * 65}, 20002), ({"friendly_name": ""}, 20002),
                ({"inbound_method": "PUT"}, 21403), ({"fallback_url": "mailto:a@b.c"}, 21402),
                ({"status_callback": "http://10.1.2.3/x"}, 21402),
            ):  # fmt: skip
                name = changes.get("friendly_name", "Shop")
                assert code == (
                    refused(lambda n=name, c=changes: estate.services.create(estate.account, n, c))
                    if create
                    else refused(lambda c=changes: estate.services.update(back, c))
                )
        assert estate.now(service) == back
        assert len(estate.services.list(estate.account)) == 1

    on_estate(tmp_path, scene)


def test_a_pool_takes_the_accounts_own_senders_once(tmp_path: Path) -> None:
    """3.3: 21710, 21712, 20423; what is foreign is as unknown as what is not there."""

    def scene(estate: Estate) -> None:
        services, account = estate.services, estate.account.id
        shop, clinic = estate.service("Shop"), estate.service("Clinic")
        number, foreign = estate.number(PHONE), estate.number(LONDON, estate.child)
        code = estate.short_codes.register(estate.caller, estate.account, "72345", "US")
        assert services.home(account, number.sid) is None
        member = services.add(shop, "PN", number.sid)
        now = estate.rig.clock.now_ms()
        assert member == Member(number.sid, PHONE, "long_code", "US", now)
        added = services.add(estate.now(shop), "SC", code.sid)
        assert added == Member(code.sid, "72345", "short_code", "US", now)
        assert services.home(account, number.sid) == estate.now(shop)
        assert refused(lambda: services.add(estate.now(shop), "PN", number.sid)) == 21710
        assert refused(lambda: services.add(clinic, "PN", number.sid)) == 21712
        assert refused(lambda: services.add(clinic, "SC", code.sid)) == 21712
        for wrong in (number.sid[:-1], number.sid.upper(), code.sid, "PN" + "g" * 32):
            assert refused(lambda sid=wrong: services.add(clinic, "PN", sid)) == 20423
        for unknown in (foreign.sid, "PN" + "0" * 31 + "1"):
            assert services.add(clinic, "PN", unknown) is None
        assert estate.now(clinic).pool == ()
        assert services.is_own(account, "PN", number.sid)
        for kind, sid in (("AI", number.sid), ("SC", number.sid), ("PN", foreign.sid)):
            assert not services.is_own(account, kind, sid)  # type: ignore[arg-type]
        second = estate.number("+14155550102")
        services.add(estate.now(shop), "PN", second.sid)
        assert [m.sid for m in estate.now(shop).members("PN")] == [second.sid, number.sid]
        assert [m.sid for m in estate.now(shop).members("SC")] == [code.sid]

    on_estate(tmp_path, scene)


@pytest.mark.parametrize("text", ["ACME", "A", "My-Shop_1 +&", "3M", "12345678 Co"])
def test_alphanumeric_ids_that_can_be(tmp_path: Path, text: str) -> None:
    def scene(estate: Estate) -> None:
        shop, clinic = estate.service("Shop"), estate.service("Clinic")
        if len(text) > 11:
            assert refused(lambda: estate.services.add_alphanumeric(shop, text)) == 21709
            return
        member = estate.services.add_alphanumeric(shop, text)
        assert (member.address, member.kind, member.country) == (text, "alphanumeric", None)
        assert member.sid.startswith("AI")
        again = estate.now(shop)
        assert refused(lambda: estate.services.add_alphanumeric(again, text)) == 21710
        assert estate.services.add_alphanumeric(clinic, text).sid != member.sid, "not one's alone"

    on_estate(tmp_path, scene)


@pytest.mark.parametrize("text", ["12345", "x" * 12, "", " ", "A.B", "Käse", "+14155550101"])
def test_alphanumeric_ids_that_cannot_be(tmp_path: Path, text: str) -> None:
    """3.3: 21709."""

    def scene(estate: Estate) -> None:
        shop = estate.service()
        assert refused(lambda: estate.services.add_alphanumeric(shop, text)) == 21709
        assert estate.now(shop).pool == ()

    on_estate(tmp_path, scene)


def test_a_pool_has_an_end(tmp_path: Path) -> None:
    """3.3: 21714. One that is full takes another as soon as one left."""

    def scene(estate: Estate) -> None:
        shop = estate.service()
        for n in range(POOL_MAX):
            estate.services.add_alphanumeric(estate.now(shop), f"Shop {n}")
        number, full = estate.number(PHONE), estate.now(shop)
        assert refused(lambda: estate.services.add(full, "PN", number.sid)) == 21714
        assert refused(lambda: estate.services.add_alphanumeric(full, "One more")) == 21714
        estate.services.remove(full, full.pool[7])
        assert estate.services.add(estate.now(shop), "PN", number.sid) is not None

    on_estate(tmp_path, scene)


def test_what_leaves_a_pool_may_join_another(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        services = estate.services
        shop, clinic = estate.service("Shop"), estate.service("Clinic")
        number = estate.number(PHONE)
        member = services.add(shop, "PN", number.sid)
        assert member is not None
        services.remove(estate.now(shop), member)
        assert estate.now(shop).pool == ()
        assert services.add(clinic, "PN", number.sid) is not None
        services.delete(estate.now(clinic))
        assert services.find(estate.account.id, clinic.sid) is None
        assert services.home(estate.account.id, number.sid) is None
        assert services.add(estate.now(shop), "PN", number.sid) is not None
        assert estate.restarted().services.home(estate.account.id, number.sid) is not None

    on_estate(tmp_path, scene)


def test_a_deleted_service_forgets_whom_it_wrote_to(tmp_path: Path) -> None:
    def scene(estate: Estate) -> None:
        shop, clinic = estate.service("Shop"), estate.service("Clinic")
        sticky, now_ms = estate.records.sticky, estate.rig.clock.now_ms()
        for service in (shop, clinic):
            row = sticky.row(estate.account.id, service.sid, ALICE, PHONE, now_ms)
            estate.rig.store.write_now(lambda db, row=row: db.do("put_sticky", *row))
        estate.services.delete(shop)
        assert sticky.get(estate.account.id, shop.sid, ALICE, now_ms) is None
        assert sticky.get(estate.account.id, clinic.sid, ALICE, now_ms) == PHONE

    on_estate(tmp_path, scene)


def test_a_number_that_is_given_away_leaves_its_pool(tmp_path: Path) -> None:
    """Released or handed over: its new owner finds it in nobody's pool."""

    def scene(estate: Estate) -> None:
        shop, services = estate.service(), estate.services
        released, heired, kept = (estate.number(f"+1415555010{n}") for n in (1, 2, 3))
        for number in (released, heired, kept):
            services.add(estate.now(shop), "PN", number.sid)
        estate.numbers.release(released)
        estate.numbers.update(estate.caller, heired, {}, estate.child.sid)
        estate.numbers.update(estate.caller, kept, {"friendly_name": "Kept"}, estate.account.sid)
        assert [member.sid for member in estate.now(shop).pool] == [kept.sid]
        theirs = services.create(estate.child, "Theirs", {})
        assert services.add(theirs, "PN", heired.sid) is not None
        again = estate.numbers.buy(estate.caller, estate.account, Order(released.phone))
        assert services.add(estate.now(shop), "PN", again.sid) is not None

    on_estate(tmp_path, scene)


def test_the_choice_of_a_sender_takes_a_pool_as_it_is(tmp_path: Path) -> None:
    """7.6: what a member tells is what `choose` asks for."""

    def scene(estate: Estate) -> None:
        shop = estate.service()
        for phone in (PHONE, LONDON, TOLL_FREE):
            estate.services.add(estate.now(shop), "PN", estate.number(phone).sid)
        code = estate.short_codes.register(estate.caller, estate.account, "60606", "GB")
        estate.services.add(estate.now(shop), "SC", code.sid)
        pool = [sender_of(member) for member in estate.now(shop).pool]
        assert [(s.kind, s.country, s.area_code, s.mms) for s in pool] == [
            ("long_code", "US", "415", True), ("long_code", "GB", None, False),
            ("toll_free", "US", "800", True), ("short_code", "GB", None, False),
        ]  # fmt: skip
        for recipient, options, address, why in (
            (Recipient("sms", "US", "415"), Options(), PHONE, "area_code"),
            (Recipient("sms", "GB"), Options(), "60606", "short_code"),
            (Recipient("sms", "GB"), Options(long_code_only=True), LONDON, "country"),
        ):
            chosen = choose(pool, recipient, options)
            assert (chosen.sender.address, chosen.why) == (address, why)  # type: ignore[union-attr]

    on_estate(tmp_path, scene)
