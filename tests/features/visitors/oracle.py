"""Whose an anonymous event is as of an instant, in SQL: an oracle that knows no ranges of as-ofs.

It reads the rows of the links that are known by then afresh, so it shares nothing with the code.
"""

import duckdb

# ``links`` has visitor, lead, known, start, finish and revoked, null without; ``visits`` has id,
# visitor, time and known; all instants are whole microseconds.
OWNERS = """
WITH known AS (SELECT * FROM links WHERE known < $as_of),
newest AS (
  SELECT * FROM known QUALIFY row_number() OVER (
    PARTITION BY visitor, lead, start
    ORDER BY known DESC, finish ASC NULLS LAST, revoked ASC NULLS LAST) = 1),
earliest AS (SELECT visitor, lead, start, min(known) AS first FROM known GROUP BY ALL),
standing AS (
  SELECT n.*, coalesce(n.start, e.first) AS since FROM newest n JOIN earliest e
    ON n.visitor = e.visitor AND n.lead = e.lead AND n.start IS NOT DISTINCT FROM e.start
  WHERE (revoked IS NULL OR revoked >= $as_of) AND (finish IS NULL OR n.start IS NULL
    OR finish > n.start)),
crowded AS (
  SELECT visitor FROM standing GROUP BY visitor HAVING count(DISTINCT lead) > $most),
candidates AS (
  SELECT v.id, v.time, s.lead, s.since, s.since <= v.time AS begun
  FROM visits v JOIN standing s ON s.visitor = v.visitor
    AND (s.start IS NULL OR s.start <= v.time) AND (s.finish IS NULL OR v.time < s.finish)
  WHERE greatest(v.time, v.known) < $as_of AND v.visitor NOT IN (SELECT visitor FROM crowded))
SELECT id, lead FROM candidates QUALIFY row_number() OVER (PARTITION BY id
  ORDER BY begun DESC, CASE WHEN begun THEN -since ELSE since END, lead) = 1
"""


def find_owners(links, visits, as_of, most):
    """Return the lead by event id for Arrow tables of links and visits as of an instant."""
    with duckdb.connect() as connection:
        connection.register("links", links)
        connection.register("visits", visits)
        rows = connection.execute(OWNERS, {"as_of": as_of, "most": most}).fetchall()
    return dict(rows)
