"""What a status callback carries, and that it is what was signed."""

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from hushwire.webhooks.payloads import status_form
from hushwire.webhooks.signature import Signer

SID = "SM" + "0123456789abcdef" * 2
ACCOUNT = "AC" + "f" * 32
SERVICE = "MG" + "e" * 32
TEXTS = {30003: "Unreachable destination handset", 30007: "Filtered: 100 % & “more”"}

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def form(**given_fields: object) -> dict[str, str]:
    fields: dict[str, object] = {
        "sid": SID, "account_sid": ACCOUNT, "status": "sent", "from_": "+14155550199",
        "to": "+14155550123", "error_texts": TEXTS,
    }  # fmt: skip
    joined, body = status_form(**{**fields, **given_fields})  # type: ignore[arg-type]
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert pairs == sorted(pairs)
    assert joined == "".join(name + value for name, value in pairs)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


BASE = {
    "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "From": "+14155550199", "MessageSid": SID,
    "MessageStatus": "sent", "SmsSid": SID, "SmsStatus": "sent", "To": "+14155550123",
}  # fmt: skip


def test_the_plain_fields() -> None:
    assert form() == BASE
    _, body = status_form(sid=SID, account_sid=ACCOUNT, status="sent", from_="+14155550199",
                          to="+14155550123", error_texts={})  # fmt: skip
    assert (
        body
        == (
            f"AccountSid={ACCOUNT}&ApiVersion=2010-04-01&From=%2B14155550199&MessageSid={SID}"
            f"&MessageStatus=sent&SmsSid={SID}&SmsStatus=sent&To=%2B14155550123"
        ).encode()
    )


def test_an_error_goes_with_failed_and_undelivered_only() -> None:
    for status in ("failed", "undelivered"):
        state = {"MessageStatus": status, "SmsStatus": status}
        error = {"ErrorCode": "30007", "ErrorMessage": TEXTS[30007]}
        assert form(status=status, error_code=30007) == BASE | state | error
        assert form(status=status, error_code=30999) == BASE | state | {"ErrorCode": "30999"}
        assert form(status=status) == BASE | state
    for status in ("sent", "delivered"):
        assert "ErrorCode" not in form(status=status, error_code=30007)


def test_the_done_date_goes_with_delivered_and_undelivered_only() -> None:
    for status in ("delivered", "undelivered"):
        assert form(status=status, done_date="2607171206")["RawDlrDoneDate"] == "2607171206"
        assert "RawDlrDoneDate" not in form(status=status)
    for status in ("sent", "failed"):
        assert "RawDlrDoneDate" not in form(status=status, done_date="2607171206")


def test_a_service_is_named() -> None:
    assert form(service_sid=SERVICE) == BASE | {"MessagingServiceSid": SERVICE}


def test_senders_that_are_no_numbers() -> None:
    for address in ("", "ACME Co", "whatsapp:+14155550123", "é+&=%", "+", "++1", "+1 415", "12345"):
        found = form(from_=address, to=address)
        assert (found["From"], found["To"]) == (address, address)


@given(
    st.sampled_from(["queued", "sent", "delivered", "undelivered", "failed"]), texts, texts,
    st.none() | st.sampled_from([30003, 30007, 30999]), st.none() | texts,
    st.none() | st.just(SERVICE), st.text("0123456789abcdef", min_size=32, max_size=32),
)  # fmt: skip
def test_the_official_validator_accepts_what_the_receiver_parses(
    status: str, from_: str, to: str, error_code: int | None, done_date: str | None,
    service_sid: str | None, token: str,
) -> None:  # fmt: skip
    joined, body = status_form(
        sid=SID, account_sid=ACCOUNT, status=status, from_=from_, to=to, error_texts=TEXTS,
        error_code=error_code, done_date=done_date, service_sid=service_sid,
    )  # fmt: skip
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert joined == "".join(name + value for name, value in pairs)
    url = "https://example.com:8443/status?a=b"
    signature = Signer(token).sign_text(url, joined)
    assert RequestValidator(token).validate(url, dict(pairs), signature)
