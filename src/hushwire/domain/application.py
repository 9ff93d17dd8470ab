"""An Application: callback URLs under one name, for several numbers (twilio-messaging 7.4)."""

from msgspec import Struct

from hushwire.domain.owned import Owned


class ApplicationSettings(Struct, frozen=True):
    """What its owner set. URLs may hold credentials; an empty one is not set."""

    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_status_callback: str = ""
    message_status_callback: str = ""
    # Kept and shown, and never called: there are no phone calls.
    status_callback: str = ""
    status_callback_method: str = "POST"
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    voice_caller_id_lookup: bool = False
    public_connect: bool = False


class Application(Owned, frozen=True, kw_only=True):
    """An Application."""

    settings: ApplicationSettings
