"""`Private`: a number, body or URL that must not leak by accident.

It travels from the parser to the cipher as this type. `repr`, `str`, `format`, logging and
JSON show only a length; the text comes out by `reveal()` alone, so every place that reads
it can be found by name.
"""

from typing import Final, NoReturn, final


@final
class Private:
    """A text that shows itself only to `reveal()`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def reveal(self) -> str:
        """The text itself. Call it at a cipher, a carrier, or a wire the caller may read."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Private) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"<private {len(self._text)}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Private value is not pickled: seal it instead")
