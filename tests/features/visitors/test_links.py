"""Links of many visitors: those without bounds resolved together are those resolved one by one."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import NEVER_US
from features.visitors.links import OWNERSHIPS, STATEMENTS, VisitorLinks
from features.visitors.statements import ALWAYS_US, LinkStatement, resolve_statements
from tests.features.logs import examples

plain_rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 6)), max_size=25
)


def table_of(rows):
    """Return STATEMENTS without bounds of rows of visitor, lead and time of arrival."""
    columns = {
        "visitor_id": [f"v{visitor}" for visitor, _, _ in rows],
        "entity_id": [f"L{lead}" for _, lead, _ in rows],
        "known": [known for _, _, known in rows],
        "begin": [ALWAYS_US] * len(rows),
        "end": [NEVER_US] * len(rows),
        "revoked": [NEVER_US] * len(rows),
    }
    return pa.table(columns, schema=STATEMENTS)


@given(plain_rows, st.integers(1, 3), st.randoms())
@examples(300)
def test_links_without_bounds_are_resolved_as_any_others(rows, limit, rng):
    links = VisitorLinks.from_statements(table_of(rows), limit)
    wanted, shared = [], 0
    for visitor in sorted({row[0] for row in rows}):
        own = [
            LinkStatement(n, k, ALWAYS_US, NEVER_US, NEVER_US) for v, n, k in rows if v == visitor
        ]
        shared += len({row.lead for row in own}) > limit
        for owner in resolve_statements(own, limit):
            # What nobody ever sees may be cut in either way: an event is known after it happened.
            wanted.append((f"v{visitor}", *owner[1:], f"L{owner.lead}"))
    assert sorted(map(tuple, zip(*links.ownerships.to_pydict().values(), strict=True))) == sorted(
        wanted
    )
    assert links.shared == shared
    mixed = list(rows)
    rng.shuffle(mixed)
    again = VisitorLinks.from_statements(table_of(mixed), limit)
    assert again.ownerships.equals(links.ownerships)


@given(plain_rows, st.integers(1, 3), st.integers(0, 8))
@examples(100)
def test_links_before_an_instant_are_those_of_the_rows_known_by_then(rows, limit, instant):
    known = VisitorLinks.from_statements(table_of([r for r in rows if r[2] < instant]), limit)
    cut = VisitorLinks.from_statements(table_of(rows), limit).before(instant)
    time, visitors = np.arange(-1, instant), [f"v{n}" for n in range(4)]

    def owners(links):
        place = links.index.find(pa.array(visitors))
        rows = {
            visitor: links.find_owners(np.full(len(time), at), time, time)
            for visitor, at in zip(visitors, place.tolist(), strict=True)
        }
        names = np.array([*links.ownerships["entity_id"].to_pylist(), None, None])
        return {visitor: names[found].tolist() for visitor, found in rows.items()}

    assert owners(cut) == owners(known) and cut.ownerships.schema == OWNERSHIPS
