"""Which sender of a service is chosen (twilio-messaging 7.6)."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.domain.routing import (
    Chosen,
    NoSender,
    Options,
    Recipient,
    Sender,
    alpha_support,
    choose,
    obstacle,
)
from hushwire.errors import PROBLEMS, error_text

SHORT = Sender("SC1", "12345", "short_code", "US", mms=True)
NEAR = Sender("PN1", "+14155550100", "long_code", "US", "415", mms=True)
FAR = Sender("PN2", "+12125550100", "long_code", "US", "212", mms=True)
FREE = Sender("PN3", "+18005550100", "toll_free", "US", "800", mms=True)
BRITISH = Sender("PN4", "+447911123456", "long_code", "GB")
ALPHA = Sender("AI1", "HUSHWIRE", "alphanumeric")
WHATSAPP = Sender("XE1", "whatsapp:+14155550100", "whatsapp", "US")
RCS = Sender("XE2", "rcs:agent", "rcs")
POOL = (BRITISH, FAR, ALPHA, FREE, WHATSAPP, NEAR, SHORT, RCS)

AMERICAN = Recipient("sms", "US", "415", mms=True)
CANADIAN = Recipient("sms", "CA", "416", mms=True)
GERMAN = Recipient("sms", "DE")
BRIT = Recipient("sms", "GB")


def only(*without: Sender) -> tuple[Sender, ...]:
    return tuple(sender for sender in POOL if sender not in without)


# --- The order -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "recipient", "sender", "why"),
    [
        (POOL, replace(AMERICAN, rcs=True), RCS, "channel"),
        (POOL, AMERICAN, SHORT, "short_code"),
        (only(SHORT), AMERICAN, NEAR, "area_code"),
        (only(SHORT, NEAR), AMERICAN, FAR, "country"),
        (only(SHORT, NEAR, FAR), AMERICAN, FREE, "country"),
        (only(SHORT, NEAR, FAR, FREE), AMERICAN, BRITISH, "any"),
        (POOL, CANADIAN, FREE, "country"),  # no American short code reaches Canada
        (only(FREE), CANADIAN, NEAR, "any"),
        (POOL, GERMAN, ALPHA, "alphanumeric"),
        (only(ALPHA), GERMAN, NEAR, "any"),
        (only(ALPHA), BRIT, BRITISH, "country"),
        (POOL, Recipient("whatsapp", "DE"), WHATSAPP, "channel"),
        (POOL, Recipient("rcs", "DE"), RCS, "channel"),
        (POOL, Recipient("sms"), NEAR, "any"),  # +800 and its like
    ],
)
def test_the_order(pool: tuple[Sender, ...], recipient: Recipient, sender: Sender, why: str):
    chosen = choose(pool, recipient)
    assert isinstance(chosen, Chosen)
    assert (chosen.sender, chosen.why) == (sender, why)


def test_what_was_named_then_what_is_known_come_first():
    known = Options(sticky=FAR.sid)
    assert choose(POOL, AMERICAN, known) == Chosen(FAR, "sticky")
    assert choose(POOL, AMERICAN, replace(known, from_=FREE.address)) == Chosen(FREE, "from")


@pytest.mark.parametrize("sticky", ["PN9", SHORT.sid, FREE.sid])
def test_a_known_sender_that_left_or_cannot_is_not_used(sticky: str):
    chosen = choose(POOL, GERMAN, Options(sticky=sticky))
    assert chosen == Chosen(ALPHA, "alphanumeric", alpha="allowed")


def test_without_geomatch_the_least_loaded_of_the_country():
    pool = (replace(NEAR, load_ms=1), FAR, replace(FREE, load_ms=2))
    assert choose(pool, AMERICAN) == Chosen(pool[0], "area_code")
    assert choose(pool, AMERICAN, Options(area_code_geomatch=False)) == Chosen(FAR, "country")


def test_the_second_try_after_a_short_code():
    again = Options(long_code_only=True)
    assert choose(POOL, AMERICAN, again) == Chosen(NEAR, "area_code")
    assert choose((SHORT, FREE, ALPHA), AMERICAN, again) == NoSender("service_no_sender")


def test_the_load_is_spread_over_equals():
    pool = {n: Sender(f"PN{n}", f"+1212555010{n}", "long_code", "US", "212") for n in range(5)}
    sent: dict[str, int] = {}
    for _ in range(100):
        chosen = choose(list(pool.values()), AMERICAN)
        assert isinstance(chosen, Chosen)
        sid = chosen.sender.sid
        sent[sid] = sent.get(sid, 0) + 1
        pool[int(sid[2:])] = replace(chosen.sender, load_ms=chosen.sender.load_ms + 1_000)
    assert set(sent.values()) == {20}


# --- Media ---------------------------------------------------------------------------------


def test_media_prefer_who_can_send_them():
    textual = replace(NEAR, mms=False)
    assert choose((textual, FAR), AMERICAN, Options(media=True)) == Chosen(FAR, "country")
    assert choose((textual,), AMERICAN, Options(media=True)) == Chosen(textual, "area_code", True)
    assert choose((NEAR,), GERMAN, Options(media=True)) == Chosen(NEAR, "any", as_link=True)
    assert choose(POOL, Recipient("whatsapp"), Options(media=True)) == Chosen(WHATSAPP, "channel")


def test_media_without_a_converter():
    options = Options(media=True, mms_converter=False)
    assert choose((NEAR, ALPHA), GERMAN, options) == NoSender("service_no_sender")
    named = replace(options, from_=NEAR.address)
    assert choose((NEAR,), GERMAN, named) == NoSender("from_not_mms_capable")
    assert choose((NEAR,), AMERICAN, named) == Chosen(NEAR, "from")


# --- Nobody --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "recipient", "options", "problem", "error_code"),
    [
        ((), AMERICAN, Options(), "service_empty", 21704),
        ((), AMERICAN, Options(from_="12345"), "service_empty", 21704),
        ((ALPHA,), AMERICAN, Options(), "service_no_sender", 21703),
        ((SHORT, FREE), GERMAN, Options(), "service_no_sender", 21703),
        ((NEAR,), Recipient("messenger"), Options(), "service_no_sender", 21703),
        ((replace(NEAR, sms=False),), AMERICAN, Options(), "service_no_sender", 21703),
        ((replace(NEAR, full=True),), AMERICAN, Options(), "queue_full", 30001),
        ((replace(NEAR, full=True),), AMERICAN, Options(sticky="PN1"), "queue_full", 30001),
        (POOL, AMERICAN, Options(from_="+14155550199"), "service_sender_unknown", 21711),
        (POOL, GERMAN, Options(from_="12345"), "from_not_owned", 21606),
        (POOL, AMERICAN, Options(from_="HUSHWIRE"), "to_not_routable", 21612),
        (POOL, AMERICAN, Options(from_="whatsapp:+14155550100"), "same_channel", 21910),
        (POOL, Recipient("whatsapp"), Options(from_="12345"), "same_channel", 21910),
        (
            (replace(NEAR, sms=False),), AMERICAN, Options(from_=NEAR.address),
            "from_not_sms_capable", 21601,
        ),
        ((replace(NEAR, full=True),), AMERICAN, Options(from_=NEAR.address), "queue_full", 30001),
    ],
)  # fmt: skip
def test_why_there_is_none(
    pool: tuple[Sender, ...], recipient: Recipient, options: Options, problem: str, error_code: int
):
    answer = choose(pool, recipient, options)
    assert answer == NoSender(problem)
    assert problem in PROBLEMS
    assert isinstance(answer, NoSender)
    assert answer.error_code == error_code
    if options.from_ is None:  # it may have been accepted before
        assert error_text(error_code)


def test_a_full_sender_is_passed_over_even_if_it_is_known():
    chosen = choose((replace(NEAR, full=True), FAR), AMERICAN, Options(sticky=NEAR.sid))
    assert chosen == Chosen(FAR, "country")


@pytest.mark.parametrize(
    ("country", "support"),
    [("US", "refused"), ("CN", "refused"), ("IN", "registration"), ("GB", "allowed"),
     ("BR", "unknown"), (None, "refused")],
)  # fmt: skip
def test_alphanumeric_ids(country: str | None, support: str):
    assert alpha_support(country) == support
    chosen = choose((ALPHA,), Recipient("sms", country))
    if support == "refused":
        assert chosen == NoSender("service_no_sender")
    else:
        assert isinstance(chosen, Chosen)
        assert chosen.alpha == support


# --- Whatever the pool ---------------------------------------------------------------------

COUNTRIES = st.sampled_from(["US", "CA", "GB", "DE", "IN", None])
AREAS = st.sampled_from(["415", "416", "212", None])
KINDS = st.sampled_from(
    ["long_code", "toll_free", "short_code", "alphanumeric", "whatsapp", "messenger", "rcs"]
)
POOLS = st.lists(
    st.builds(
        Sender,
        sid=st.integers(0, 30).map("PN{}".format),
        address=st.integers(0, 30).map("a{}".format),
        kind=KINDS,
        country=COUNTRIES,
        area_code=AREAS,
        sms=st.booleans(),
        mms=st.booleans(),
        load_ms=st.integers(0, 3),
        full=st.booleans(),
    ),
    max_size=8,
    unique_by=(lambda sender: sender.sid, lambda sender: sender.address),
)
RECIPIENTS = st.builds(
    Recipient,
    channel=st.sampled_from(["sms", "whatsapp", "messenger", "rcs"]),
    country=COUNTRIES,
    area_code=AREAS,
    mms=st.booleans(),
    rcs=st.booleans(),
)
OPTIONS = st.builds(
    Options,
    media=st.booleans(),
    from_=st.none() | st.integers(0, 30).map("a{}".format),
    sticky=st.none() | st.integers(0, 30).map("PN{}".format),
    area_code_geomatch=st.booleans(),
    mms_converter=st.booleans(),
    long_code_only=st.booleans(),
)


@settings(deadline=None)
@given(POOLS, RECIPIENTS, OPTIONS, st.randoms())
def test_the_answer_does_not_depend_on_the_order_of_the_pool(pool, recipient, options, random):
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert choose(pool, recipient, options) == choose(shuffled, recipient, options)


@settings(deadline=None)
@given(POOLS, RECIPIENTS, OPTIONS)
def test_the_chosen_one_is_in_the_pool_and_can(pool, recipient, options):
    answer = choose(pool, recipient, options)
    if isinstance(answer, Chosen):
        assert answer.sender in pool
        assert not answer.sender.full
        assert obstacle(answer.sender, recipient, options) is None
        if options.from_ is not None:
            assert answer.sender.address == options.from_
        if answer.as_link:
            assert options.media
            assert options.mms_converter
            assert answer.sender.sms
    else:
        assert answer.problem in PROBLEMS


@settings(deadline=None)
@given(POOLS, RECIPIENTS, OPTIONS)
def test_there_is_one_when_one_could(pool, recipient, options):
    options = replace(options, from_=None, long_code_only=False)
    able = [s for s in pool if obstacle(s, recipient, options) is None and not s.full]
    assert isinstance(choose(pool, recipient, options), Chosen) == bool(able)


@settings(deadline=None)
@given(POOLS, RECIPIENTS, OPTIONS, st.data())
def test_nothing_beats_who_is_known(pool, recipient, options, data):
    options = replace(options, from_=None, long_code_only=False)
    able = [s for s in pool if obstacle(s, recipient, options) is None and not s.full]
    assume(able)
    known = data.draw(st.sampled_from(able))
    answer = choose(pool, recipient, replace(options, sticky=known.sid))
    assert isinstance(answer, Chosen)
    assert (answer.sender, answer.why) == (known, "sticky")


@settings(deadline=None)
@given(POOLS, RECIPIENTS, OPTIONS)
def test_nobody_with_less_to_do_is_passed_over_by_the_same_rule(pool, recipient, options):
    options = replace(options, from_=None, sticky=None)
    answer = choose(pool, recipient, options)
    if isinstance(answer, Chosen):
        others = [choose([s], recipient, options) for s in pool]
        equals = [
            other.sender
            for other in others
            if isinstance(other, Chosen)
            and (other.why, other.as_link) == (answer.why, answer.as_link)
        ]
        assert answer.sender.load_ms == min(sender.load_ms for sender in equals)
