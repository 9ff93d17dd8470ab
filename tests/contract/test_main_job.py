"""The main job: a text sent with the official SDK, delivered, and the customer called back."""

from twilio.request_validator import RequestValidator

from harness import Receiver, RunningServer, wait_for


def test_a_text_is_sent_delivered_and_called_back(
    server: RunningServer, receiver: Receiver
) -> None:
    client = server.client()
    url = receiver.url("/status?order=7#rc=2&rp=all")
    message = client.messages.create(
        to="+14155550101", from_=server.number, body="Hello Ada", status_callback=url
    )
    assert message.status == "queued"
    first, second = receiver.wait(2)
    assert [first.form["MessageStatus"], second.form["MessageStatus"]] == ["sent", "delivered"]
    validator = RequestValidator(server.token)
    for callback in (first, second):
        signature = callback.headers["x-twilio-signature"]
        assert validator.validate(receiver.url("/status?order=7"), callback.form, signature)
        assert callback.path == "/status?order=7"
        assert callback.form["MessageSid"] == message.sid
        assert callback.form["To"] == "+14155550101"
    wait_for(lambda: client.messages(message.sid).fetch().status == "delivered")
    assert server.screen("+14155550101")[0]["body"] == "Hello Ada"
