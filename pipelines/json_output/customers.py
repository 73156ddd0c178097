"""What `customers` prints."""

from __future__ import annotations

from models.customers.schemas import (
    ACQUISITION,
    CUSTOMER_BASIS,
    CUSTOMER_CORRECTIONS,
    CUSTOMER_FLOWS,
    CUSTOMER_STATES,
    CUSTOMER_TRACK,
    CUSTOMERS,
    RETENTION,
    REVENUE_BRIDGE,
    WIN_BACK_TRACK,
    WIN_BACKS,
)
from pipelines.json_output.shared import JsonObject, create_row_model, make_key

CustomerJson = create_row_model("CustomerJson", "A customer.", CUSTOMERS)
CustomerStateJson = create_row_model("CustomerStateJson", "Customers in a state.", CUSTOMER_STATES)
CustomerFlowJson = create_row_model(
    "CustomerFlowJson", "Customers who went from a state to another.", CUSTOMER_FLOWS
)
RetentionJson = create_row_model("RetentionJson", "A cohort in a month.", RETENTION)
RevenueStepJson = create_row_model(
    "RevenueStepJson", "A step of a quarter's margin.", REVENUE_BRIDGE
)
AcquisitionJson = create_row_model(
    "AcquisitionJson", "What the customers of a quarter's entries cost and bring.", ACQUISITION
)
WinBackJson = create_row_model("WinBackJson", "A customer who has lapsed.", WIN_BACKS)
WinBackTrackJson = create_row_model(
    "WinBackTrackJson", "Chances of 90 days before, beside what came.", WIN_BACK_TRACK
)
CustomerTrackJson = create_row_model(
    "CustomerTrackJson", "A forecast as of the past, beside what came.", CUSTOMER_TRACK
)
CustomerCorrectionJson = create_row_model(
    "CustomerCorrectionJson",
    "A correction beside the model of purchases, in the last days.",
    CUSTOMER_CORRECTIONS,
)
CustomerBasisJson = create_row_model(
    "CustomerBasisJson", "What the values rest on.", CUSTOMER_BASIS
)


class TotalValueJson(JsonObject):
    """Discounted value of all customers, with a 90 % interval."""

    total: float | None = make_key("expected value; null without a model or amounts")
    low: float | None = make_key("lower end")
    high: float | None = make_key("upper end")


class CustomerFiguresJson(JsonObject):
    """What all customers are expected to do within a year."""

    orders_12m: float | None = make_key("purchases; null without a model")
    margin_12m: float | None = make_key("margin; null without a model or amounts")


class CustomersOutput(JsonObject):
    """Customers: their states, values, retention and revenue."""

    customers: int = make_key("number of customers")
    states: dict[str, int] = make_key("customers by state")
    value: TotalValueJson = make_key("discounted value of all")
    model: str | None = make_key("model of purchases; null if none may be used")
    figures: CustomerFiguresJson = make_key("expected within a year")
    rows: list[CustomerJson] = make_key(  # type: ignore[valid-type]
        "customers, the most valuable first"
    )
    flows: list[CustomerFlowJson] = make_key("flows between states")  # type: ignore[valid-type]
    by_state: list[CustomerStateJson] = make_key("each state")  # type: ignore[valid-type]
    retention: list[RetentionJson] = make_key(  # type: ignore[valid-type]
        "months of cohorts"
    )
    revenue_bridge: list[RevenueStepJson] = make_key(  # type: ignore[valid-type]
        "steps of quarters"
    )
    acquisition: list[AcquisitionJson] = make_key(  # type: ignore[valid-type]
        "quarters of entry: what their customers cost and bring"
    )
    win_backs: list[WinBackJson] = make_key(  # type: ignore[valid-type]
        "customers who have lapsed, those from whom most is expected first"
    )
    win_back_track: list[WinBackTrackJson] = make_key(  # type: ignore[valid-type]
        "chances of 90 days before beside what came"
    )
    track: list[CustomerTrackJson] = make_key(  # type: ignore[valid-type]
        "forecasts as of the past"
    )
    corrections: list[CustomerCorrectionJson] = make_key(  # type: ignore[valid-type]
        "corrections beside the model of purchases; empty without enough purchases"
    )
    basis: CustomerBasisJson = make_key(  # type: ignore[valid-type]
        "the model, and the totals with intervals"
    )


class CustomerTotalJson(JsonObject):
    """A total of all customers beside what came."""

    what: str = make_key("`purchases`, or `renewals` of contracts, or `margin`")
    expected: float = make_key("expected by the chosen model")
    actual: float = make_key("what came")
    low: float = make_key("lower end of the 90 % interval")
    high: float = make_key("upper end of it")


class CustomerModelJson(JsonObject):
    """A model or baseline beside what came."""

    model: str = make_key("name of the model or baseline")
    expected: float = make_key("expected purchases of all customers")
    absolute_error: float = make_key("mean absolute error of the purchases per customer")
    deviance: float = make_key("mean Poisson deviance per customer")
    correlation: float | None = make_key("correlation of expected and actual purchases")
    roc_auc: float | None = make_key("how well it ranks those who bought above the others")
    margin: float | None = make_key("expected margin of all; null without amounts")
    margin_absolute_error: float | None = make_key("mean absolute error of the margin")
    margin_rank_correlation: float | None = make_key("rank correlation of the margins")
    top_tenth_share: float | None = make_key(
        "share of the margin that the tenth expected to bring most has brought"
    )


class CustomerBacktestOutput(JsonObject):
    """A forecast of customers as of the past, beside what came."""

    model: str = make_key("the model that earlier purchases chose")
    customers: int = make_key("customers at the past as-of")
    days: int = make_key("days ahead")
    totals: list[CustomerTotalJson] = make_key(
        "purchases or renewals, and margin if there are amounts"
    )
    covered_90: float | None = make_key(
        "share of the customers whose margin lies in their 90 % interval"
    )
    models: list[CustomerModelJson] = make_key("all models and baselines")
