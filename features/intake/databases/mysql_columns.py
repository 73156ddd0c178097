"""Columns of MySQL and MariaDB, made of the texts in which the server sends all values.

PyMySQL's own conversion is off: it makes a missing value of the date 0000-00-00, and takes a
timestamp's zone away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

# Numbers of types in the protocol, and a flag of a column.
DECIMAL_TYPES, INTEGER_TYPES = (0, 246), (1, 2, 3, 8, 9, 13)
FLOAT_TYPE, DOUBLE_TYPE, TIMESTAMP_TYPE, BIT_TYPE = 4, 5, 7, 16
UNSIGNED_FLAG = 32
# The longest decimal of Arrow, which has more digits than one of MySQL.
MAX_DIGITS = {pa.decimal128: 38, pa.decimal256: 76}


@dataclass(frozen=True)
class MysqlColumn:
    """Type of a column in the protocol.

    Attributes:
        code: Number of the type.
        is_unsigned: Whether an integer is unsigned.
        digits: Most digits of a decimal number, signs included.
        scale: Digits behind its point.
    """

    code: int
    is_unsigned: bool
    digits: int
    scale: int

    @classmethod
    def from_field(cls, field: Any) -> Self:
        """Read the description that the server sends before the rows."""
        return cls(
            field.type_code, bool(field.flags & UNSIGNED_FLAG), int(field.length), int(field.scale)
        )

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the type in which the values are kept."""
        if self.code in INTEGER_TYPES:
            return pa.uint64() if self.is_unsigned else pa.int64()
        if self.code in DECIMAL_TYPES:
            # Some servers give no length for a computed column.
            make = pa.decimal128 if 0 < self.digits <= MAX_DIGITS[pa.decimal128] else pa.decimal256
            return make(MAX_DIGITS[make], self.scale)
        fixed = {FLOAT_TYPE: pa.float32(), DOUBLE_TYPE: pa.float64(), BIT_TYPE: pa.uint64()}
        return fixed.get(self.code, pa.string())

    def convert(self, values: Sequence[Any]) -> pa.Array:
        """Return values, as PyMySQL gives them without conversion, as a column."""
        if self.code == BIT_TYPE:
            numbers = [None if bits is None else int.from_bytes(bits, "big") for bits in values]
            return pa.array(numbers, pa.uint64())
        if self.code == TIMESTAMP_TYPE:  # in the zone of the session
            return pa.array([None if text is None else f"{text}+00:00" for text in values])
        return pa.array(map(_write_binary, values), pa.string()).cast(self.arrow_type)


def _write_binary(value: Any) -> Any:
    return value.hex().upper() if isinstance(value, bytes) else value
