"""The fields of an event: how each kind of value is checked and put into msgpack, and nothing that is not canonical comes out.

A field is declared as `Annotated[type, codec]` in the event's class. A codec has `pack(value)`, what msgpack takes, and
`unpack(raw)`, the value; both raise `Bad` with the rule in words. Amounts are minimal big-endian bytes, since msgpack ends at 64 bits.
Text is refused where it has characters that a terminal obeys or that turn the direction of writing: the set is written out here and
does not come from the Unicode tables of a Python version, so every peer refuses the same texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

MOST_WEI = 10**30

_LINES = "\t\n"
_BAD = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_BAD_BUT_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


class Bad(Exception):
    """A value that its field does not take; the text says what it takes."""


@dataclass(frozen=True)
class Size:
    """Bytes of a fixed length, or of none where `empty`."""

    length: int
    empty: bool = False

    def pack(self, value: Any) -> bytes:
        if type(value) is not bytes or (len(value) != self.length and (value or not self.empty)):
            raise Bad(f"takes {self.length} bytes{' or none' if self.empty else ''}")
        return value

    unpack = pack


@dataclass(frozen=True)
class Blob:
    """Up to `most` bytes."""

    most: int

    def pack(self, value: Any) -> bytes:
        if type(value) is not bytes or len(value) > self.most:
            raise Bad(f"takes at most {self.most} bytes")
        return value

    unpack = pack


@dataclass(frozen=True)
class Between:
    """An int from `low` to `high`, both inclusive, in 64 bits."""

    low: int
    high: int

    def pack(self, value: Any) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise Bad(f"takes an int from {self.low} to {self.high}")
        return value

    unpack = pack


@dataclass(frozen=True)
class Amount:
    """An int of wei from `least` to 10^30."""

    least: int = 0

    def pack(self, value: Any) -> bytes:
        if type(value) is not int or not self.least <= value <= MOST_WEI:
            raise Bad(f"takes an amount from {self.least} to 10^30 wei")
        return value.to_bytes((value.bit_length() + 7) // 8, "big")

    def unpack(self, raw: Any) -> int:
        if type(raw) is not bytes or len(raw) > 13 or raw[:1] == b"\0":
            raise Bad(f"takes an amount from {self.least} to 10^30 wei")
        value = int.from_bytes(raw, "big")
        self.pack(value)
        return value


@dataclass(frozen=True)
class Text:
    """From `least` to `most` characters without control, direction or invisible ones; line breaks and tabs only where `lines`."""

    most: int
    least: int = 1
    lines: bool = False

    def pack(self, value: Any) -> str:
        if type(value) is not str or not self.least <= len(value) <= self.most:
            has = f", not {len(value)}" if type(value) is str else ""
            raise Bad(f"takes text of {self.least} to {self.most} characters{has}")
        found = (_BAD_BUT_LINES if self.lines else _BAD).search(value)
        if found:
            raise Bad(f"has the control character U+{ord(found[0]):04X} at {found.start()}; take it out")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Bad("takes text that is valid Unicode") from None
        return value

    unpack = pack


@dataclass(frozen=True)
class OneOf:
    """One of a few words or numbers."""

    words: tuple[str | int, ...]

    def pack(self, value: Any) -> str | int:
        if type(value) not in (str, int) or value not in self.words:
            raise Bad(f"takes one of {', '.join(map(str, self.words))}")
        return value

    unpack = pack


@dataclass(frozen=True)
class Rows:
    """A tuple of `least` to `most` values of `inner`."""

    inner: Any
    most: int
    least: int = 0

    def pack(self, value: Any) -> list[Any]:
        return [self.inner.pack(one) for one in self._sized(value, tuple)]

    def unpack(self, raw: Any) -> tuple[Any, ...]:
        return tuple(self.inner.unpack(one) for one in self._sized(raw, list))

    def _sized(self, value: Any, form: type) -> Any:
        if type(value) is not form or not self.least <= len(value) <= self.most:
            has = f", not {len(value)}" if type(value) is form else ""
            raise Bad(f"takes {self.least} to {self.most} entries{has}")
        return value


@dataclass(frozen=True)
class Row:
    """A tuple with one codec per place."""

    inner: tuple[Any, ...]

    def pack(self, value: Any) -> list[Any]:
        return [codec.pack(one) for codec, one in zip(self.inner, self._sized(value, tuple), strict=True)]

    def unpack(self, raw: Any) -> tuple[Any, ...]:
        return tuple(codec.unpack(one) for codec, one in zip(self.inner, self._sized(raw, list), strict=True))

    def _sized(self, value: Any, form: type) -> Any:
        if type(value) is not form or len(value) != len(self.inner):
            raise Bad(f"takes rows of {len(self.inner)} values")
        return value


Address = Annotated[bytes, Size(20)]
Hash = Annotated[bytes, Size(32)]
MaybeHash = Annotated[bytes, Size(32, empty=True)]
Time = Annotated[int, Between(0, 2**48)]
Nonce = Annotated[int, Between(0, 2**63 - 1)]
Wei = Annotated[int, Amount()]
Credits = Annotated[int, Amount(least=1)]
Bps = Annotated[int, Between(0, 10**4)]
Seat = Annotated[int, Between(0, 255)]
