"""Every integration: whoever wants to connect finds them here."""

from typing import Final

from hushwire.connect import kognitos, persona, tealium
from hushwire.connect.integration import Integration

INTEGRATIONS: Final[tuple[Integration, ...]] = (
    kognitos.INTEGRATION, persona.INTEGRATION, tealium.INTEGRATION,
)  # fmt: skip
