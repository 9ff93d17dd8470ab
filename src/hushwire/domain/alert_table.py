"""What an account is alerted of: code → level and title.

Codes and levels are Twilio's (twilio-messaging 3.6, 8.6 and the error dictionary), the titles
are ours. The names of levels are short here, so that the table reads as one.
"""

from typing import Final, Literal

LogLevel = Literal["error", "warning", "notice", "debug"]

_E: Final = "error"
_W: Final = "warning"

KINDS: Final[dict[int, tuple[LogLevel, str]]] = {
    11100: (_E, "Invalid URL format"),
    11200: (_E, "HTTP retrieval failure"),
    11201: (_E, "The connection was not made in time"),
    11202: (_E, "The connection was refused"),
    11203: (_E, "The answer took too long"),
    11205: (_E, "HTTP connection failure"),
    11206: (_E, "HTTP protocol violation"),
    11210: (_E, "HTTP bad host name"),
    11215: (_E, "HTTP too many redirects"),
    11220: (_E, "TLS handshake failure"),
    11235: (_E, "The certificate is for another host"),
    11236: (_E, "The certificate has expired"),
    11237: (_E, "The certificate is not signed by an authority that is known"),
    11240: (_E, "Connection override: the edge is invalid"),
    11241: (_E, "Connection override: the edge is not supported"),
    11242: (_E, "Connection override: Interconnect was refused"),
    11243: (_E, "Connection override: the retry policy is invalid"),
    11750: (_E, "TwiML response body too large"),
    11770: (_E, "Empty response body"),
    12100: (_E, "Document parse failure"),
    12101: (_E, "Invalid TwiML version"),
    12102: (_E, "The root element must be Response"),
    12200: (_W, "TwiML that the schema does not know"),
    12300: (_E, "Invalid Content-Type"),
    12400: (_E, "Internal failure"),
    14101: (_W, "Invalid To in a Message verb"),
    14102: (_W, "Invalid From in a Message verb"),
    14103: (_W, "Invalid Body in a Message verb"),
    14104: (_W, "Invalid method in a Message verb"),
    14105: (_W, "Invalid statusCallback in a Message verb"),
    14106: (_W, "Document retrieval limit reached"),
    14107: (_E, "Reply loop: the message was not sent"),
    14108: (_W, "From cannot send texts"),
    14109: (_W, "Too many replies to one message"),
    14110: (_W, "A verb that cannot answer a text"),
    14111: (_W, "To is not verified"),
    20001: (_W, "A parameter without effect was given"),
    21609: (_E, "The StatusCallback URL is invalid"),
    21610: (_W, "The recipient has opted out: the message was not sent"),
    21611: (_E, "The queue of the sender is full: the message was not sent"),
    21623: (_W, "Too many media in a message"),
    23001: (_W, "Redaction does not go with STOP filtering of a long code"),
    23002: (_W, "Redaction does not go with STOP filtering of a short code"),
    23003: (_W, "Redaction does not go with Sticky Sender"),
    23004: (_W, "Redaction does not go with Advanced Opt-Out"),
    23005: (_W, "Redaction does not go with Fallback to Long Code"),
    23006: (_W, "Redaction does not go with inbound webhooks by GET"),
    30001: (_E, "Queue overflow"),
    30002: (_E, "Account suspended"),
    30007: (_W, "Message filtered"),
    30008: (_E, "Unknown error"),
    30010: (_W, "Message price exceeds max price"),
    30018: (_W, "Networks of the country deliver registered sender IDs only"),
    30036: (_W, "The validity period ended before the message was sent"),
}
