"""Days of the Gregorian calendar, as compiled functions."""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_kernel


@jit_kernel
def count_days(year: int, month: int, day: int) -> tuple[bool, np.int64]:
    """Return whether a date of the years 0 to 9999 exists, and its day since 1970-01-01."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 + leap if month == 2 else 30 + ((month + (month > 7)) & 1)
    if year < 0 or month < 1 or month > 12 or day < 1 or day > longest:
        return False, np.int64(0)
    # Days are counted from 1 March of year 0, so that a leap day is the last of its year
    # (Richards 2013, “Calendars”, 15.11.3). 719,468 of them precede 1970-01-01.
    shifted_year = year - (month < 3)
    before = 365 * shifted_year + shifted_year // 4 - shifted_year // 100 + shifted_year // 400
    return True, np.int64(before + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719_468)
