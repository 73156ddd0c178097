"""Names that the config and the data share, such as event types: written without outer blanks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

# Every character that Python counts as white space, the no-break spaces among them, and three
# without width: copying a text may leave them around it.
BLANKS = "".join(filter(str.isspace, map(chr, range(0x10000)))) + "\u200b\u2060\ufeff"


def trim_name(text: str) -> str:
    """Return a name without blanks around it, as the data's names are read.

    Raises ValueError if nothing else is left.
    """
    name = text.strip(BLANKS)
    if not name:
        raise ValueError("must not be empty or blank")
    return name


# An event type, a channel or a category.
Name = Annotated[str, AfterValidator(trim_name)]

# Stands for a key's value that is to be found from the data.
AUTO = "auto"
