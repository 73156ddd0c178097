"""The floor, and other engines on the common feature set.

Each function takes a log, its number of leads and the cutoffs (microseconds since 1970), and
returns the call to be timed. The call reads the log and yields the features of all leads at all
cutoffs, with rows in any order and in the pieces in which the engine produces them. The caller
drops each piece; otherwise the allocation of fresh memory would be measured. Libraries are imported
where they are used: not all of them are in one environment.
"""

from collections.abc import Callable

import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.tools.instants import US_PER_DAY
from tests.benchmarks import log
from tests.benchmarks.common import DAYS, FEATURES, Common

FLOOR = """
SELECT entity_id, event_type, count(*) AS type_count_all,
       max(event_time) AS last, sum(value) AS total
FROM read_parquet($path) GROUP BY ALL
"""

RANGE_JOIN = """
WITH events AS (
       SELECT entity_id, epoch_us(event_time) AS t, event_type, value FROM read_parquet($path)
     ),
     rows AS (SELECT entity_id, cutoff, epoch_us(cutoff) AS c FROM spine)
SELECT rows.entity_id, cutoff, {features}
FROM rows LEFT JOIN events ON rows.entity_id = events.entity_id AND t < c
GROUP BY rows.entity_id, cutoff, c
"""

# Leads computed by featuretools: its time per row is the same from 200 to 20,000 leads.
SAMPLE = 300


def floor(path: str, leads: int, instants: list[int]) -> Callable:
    """DuckDB's scan and group-by of the whole file: no cutoff, no window, no row of features."""
    import duckdb

    return lambda: duckdb.connect().sql(FLOOR, params={"path": path}).to_arrow_reader()


def range_join(path: str, leads: int, instants: list[int]) -> Callable:
    """DuckDB: spine rows joined with all events before the cutoff, one filtered aggregate each."""
    import duckdb

    spine = log.every(log.leads_table(leads), instants)
    query = RANGE_JOIN.format(
        features=", ".join(f"{_sql(feature)} AS {feature.name}" for feature in FEATURES)
    )

    def run():
        connection = duckdb.connect()
        connection.register("spine", spine)
        return connection.sql(query, params={"path": path}).to_arrow_reader()

    return run


def _sql(feature: Common) -> str:
    days = DAYS[feature.window] if feature.window else None
    seen = f"FILTER (WHERE event_type = '{feature.kind}'" + (
        f" AND t >= c - {days * US_PER_DAY})" if days else ")"
    )
    if feature.aggregate == "age":
        return f"(c - max(t) {seen}) / {US_PER_DAY}.0"
    return f"count(*) {seen}" if feature.aggregate == "count" else f"coalesce(sum(value) {seen}, 0)"


def polars_per_cutoff(path: str, leads: int, instants: list[int]) -> Callable:
    """Polars: per cutoff a lazy group-by of earlier events by type, joined to all leads, streamed.

    This was the fastest of several variants: streaming and in-memory engine, one plan per cutoff
    and one for all, one group-by with conditions instead of eight, one by (entity, type) with a
    join or pivot, and event types as text.
    """
    import polars as pl
    import polars.selectors as cs

    entities = pl.from_arrow(log.leads_table(leads).select(["entity_id"])).lazy()

    def at(us):
        cutoff = pl.lit(us).cast(pl.Datetime("us", "UTC"))
        events = pl.scan_parquet(path).filter(pl.col("event_time") < cutoff)
        seen, wide = events.with_columns(pl.col("event_type").cast(pl.Enum(log.TYPES))), entities
        for kind in log.TYPES:
            wanted = [_polars(feature, cutoff) for feature in FEATURES if feature.kind == kind]
            found = seen.filter(pl.col("event_type") == kind).group_by("entity_id").agg(wanted)
            wide = wide.join(found, on="entity_id", how="left")
        return wide.with_columns(cs.contains("_count_", "_sum_").fill_null(0), cutoff=cutoff)

    return lambda: (at(us).collect(engine="streaming") for us in instants)


def _polars(feature: Common, cutoff):
    import polars as pl

    days = DAYS[feature.window] if feature.window else None
    seen = pl.col("event_time") >= cutoff - pl.duration(days=days) if days else pl.lit(True)
    if feature.aggregate == "count":
        found = seen.sum() if days else pl.len()
    elif feature.aggregate == "age":
        found = (cutoff - pl.col("event_time").max()).dt.total_microseconds() / US_PER_DAY
    else:
        found = (pl.when(seen).then("value") if days else pl.col("value")).sum()
    return found.alias(feature.name)


def featuretools(path: str, leads: int, instants: list[int]) -> Callable:
    """featuretools with cutoff times on a sample of leads; reading and declaring are not timed."""
    import featuretools as ft
    import pandas as pd

    ids = log.leads_table(leads)["entity_id"].to_pylist()[:: max(leads // SAMPLE, 1)]
    declared, primitives = _declared(path, ids), ["count", "sum", "time_since_last"]
    definitions = ft.dfs(
        entityset=declared,
        target_dataframe_name="leads",
        agg_primitives=primitives,
        where_primitives=primitives,
        trans_primitives=[],
        features_only=True,
    )
    rows = pd.DataFrame(
        {
            "entity_id": ids * len(instants),
            "time": pd.to_datetime([us for us in instants for _ in ids], unit="us"),
        }
    )
    return lambda: [_windows(declared, {found.get_name(): found for found in definitions}, rows)]


def _declared(path: str, ids: list[str]):
    import featuretools as ft
    import pandas as pd

    columns = ["entity_id", "event_time", "event_type", "value"]
    events = pq.read_table(
        path, columns=columns, filters=pc.field("entity_id").isin(ids)
    ).to_pandas()
    events["event_time"] = events["event_time"].dt.tz_localize(None)
    events["event_id"] = range(len(events))
    found = ft.EntitySet("log")
    types = {"event_type": "Categorical"}
    found.add_dataframe(
        events, "events", index="event_id", time_index="event_time", logical_types=types
    )
    found.add_dataframe(pd.DataFrame({"entity_id": ids}), "leads", index="entity_id")
    found.add_relationship("leads", "entity_id", "events", "entity_id")
    found.add_interesting_values(dataframe_name="events", values={"event_type": log.TYPES})
    return found


def _windows(declared, definitions, rows):
    """Compute window by window, since training_window is per call, and join the columns."""
    import featuretools as ft
    import pandas as pd

    titles = {
        "count": "COUNT(events",
        "sum_value": "SUM(events.value",
        "age": "TIME_SINCE_LAST(events.event_time",
    }
    found = []
    for window, days in DAYS.items():
        names = {
            f"{titles[feature.aggregate]} WHERE event_type = {feature.kind})": feature.name
            for feature in FEATURES
            if (feature.window or "all") == window
        }
        matrix = ft.calculate_feature_matrix(
            [definitions[title] for title in names],
            declared,
            cutoff_time=rows,
            training_window=f"{days} days" if days else None,
            include_cutoff_time=False,
            cutoff_time_in_index=True,
        )
        found.append(matrix.rename(columns=names))
    table = pd.concat(found, axis=1).rename_axis(["entity_id", "cutoff"]).reset_index()
    ages = [feature.name for feature in FEATURES if feature.aggregate == "age"]
    table[ages] /= 86_400
    return table.assign(cutoff=table["cutoff"].astype("datetime64[us]").dt.tz_localize("UTC"))
