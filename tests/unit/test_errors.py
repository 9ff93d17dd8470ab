"""The tables of codes, and the errors made from them."""

from string import Formatter

import pytest

from hushwire.errors import MORE_INFO, PROBLEMS, Refusal, Unavailable, error_text

PLACEHOLDERS = {
    name: [field for _, field, _, _ in Formatter().parse(problem.message) if field is not None]
    for name, problem in PROBLEMS.items()
}


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("no_credentials", 20003, 401),
        ("authenticate", 20003, 401),
        ("permission_missing", 70051, 401),
        ("scope_missing", 70051, 403),
        ("not_found", 20404, 404),
        ("method_not_allowed", 20004, 405),
        ("entity_too_large", 20413, 413),
        ("unsupported_media_type", 415, 415),
        ("too_many_requests", 20429, 429),
        ("internal_error", 20500, 500),
        ("unavailable", 20503, 503),
        ("parameter_not_supported", 20422, 400),
        ("invalid_boolean", 20422, 400),
        ("invalid_date", 20001, 400),
        ("invalid_page_size", 20007, 400),
        ("invalid_page_token", 21481, 400),
        ("retention_window", 20004, 400),
        ("to_required", 21604, 400),
        ("to_invalid", 21211, 400),
        ("to_not_routable", 21612, 400),
        ("region_not_enabled", 21408, 400),
        ("unsubscribed", 21610, 400),
        ("not_mobile", 21614, 400),
        ("from_required", 21603, 400),
        ("from_invalid", 21212, 400),
        ("from_not_owned", 21606, 400),
        ("queue_full", 21611, 429),
        ("same_channel", 21910, 400),
        ("channel_not_found", 63007, 400),
        ("no_content", 21602, 400),
        ("content_required", 21619, 400),
        ("body_too_long", 21617, 400),
        ("media_invalid", 21620, 400),
        ("media_too_many", 21623, 400),
        ("content_sid_required", 21654, 400),
        ("content_sid_invalid", 21655, 400),
        ("content_variables_invalid", 21656, 400),
        ("status_callback_invalid", 21609, 400),
        ("validity_invalid", 21624, 400),
        ("content_retention_invalid", 30029, 400),
        ("address_retention_invalid", 30030, 400),
        ("not_complete", 20009, 409),
        ("update_not_complete", 20009, 409),
        ("update_invalid", 30400, 400),
        ("not_cancelable", 30409, 409),
        ("service_not_found", 21701, 404),
        ("service_invalid", 21705, 400),
    ],
)
def test_codes_and_statuses(name: str, code: int, status: int):
    assert (PROBLEMS[name].code, PROBLEMS[name].status) == (code, status)


@pytest.mark.parametrize(
    ("name", "facts", "text"),
    [
        ("authenticate", {}, "Authenticate"),
        ("not_found", {"path": "/2010-04-01/Accounts/AC1/Messages/SM1.json"},
         "The requested resource /2010-04-01/Accounts/AC1/Messages/SM1.json was not found"),
        ("to_invalid", {"number": "+1144392XXXX"}, "Invalid 'To' Phone Number: +1144392XXXX"),
        ("not_mobile", {"number": "+1500555XXXX"},
         "To number: +1500555XXXX, is not a mobile number"),
        ("no_content", {}, "Message body is required."),
        ("body_too_long", {}, "The concatenated message body exceeds the 1600 character limit"),
        ("not_complete", {}, "Cannot delete this resource before it is complete"),
        ("retention_window", {}, "Date range specified in query is partially or entirely outside"
         " of retention window of 400 days"),
    ],
)  # fmt: skip
def test_recorded_texts(name: str, facts: dict[str, str], text: str):
    assert Refusal(name, **facts).text == text


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_every_row_is_whole(name: str):
    problem = PROBLEMS[name]
    assert problem.name == name
    assert 400 <= problem.status <= 599
    assert problem.code >= 400
    assert problem.message.strip() == problem.message != ""
    assert problem.when.endswith(".")
    for field in PLACEHOLDERS[name]:
        assert f"{{{field}}}" in problem.when, f"`when` must explain {{{field}}}"


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_every_row_can_be_raised(name: str):
    refusal = Refusal(name, **dict.fromkeys(PLACEHOLDERS[name], "a secret"))
    problem = PROBLEMS[name]
    assert refusal.body() == {
        "code": problem.code,
        "message": refusal.text,
        "more_info": f"{MORE_INFO}{problem.code}",
        "status": problem.status,
    }
    assert "{" not in refusal.text
    assert str(refusal) == f"{problem.code} {name}"  # what fills the text stays out of logs


def test_unavailable_says_when_to_come_back():
    assert Unavailable("too_many_requests", retry_after_s=7).retry_after_s == 7


def test_delivery_codes_have_texts():
    used = (11751, 12300, 14107, *range(30001, 30028), *range(30032, 30047), 30410, 30450, 63016)
    assert all(error_text(code) for code in used)
    assert error_text(30003) == "Unreachable destination handset"
    assert error_text(30036) == "Validity Period Expired"
    assert error_text(1) is None
