"""A content template of an account: what it holds is in `domain.template`."""

from hushwire.domain.owned import Owned
from hushwire.domain.template import Content


class Template(Owned, frozen=True, kw_only=True):
    """A template that messages name by its SID (`HX…`)."""

    content: Content
