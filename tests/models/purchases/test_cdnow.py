"""Published figures of the CDNOW customers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.purchases.bg_nbd import BgNbd
from models.purchases.histories import (
    PurchaseHistories,
    Purchases,
    count_purchases,
    merge_days,
    summarize_purchases,
)
from models.purchases.purchase_model import fit_purchases

PATH = Path(os.environ.get("LEADSCORE_DATA", "")) / "cdnow" / "transactions.parquet"
pytestmark = pytest.mark.skipif(not PATH.is_file(), reason=f"{PATH} is not there")
# Customers of the systematic sample of the literature, by their number in the whole cohort.
SAMPLE = Path(__file__).with_name("cdnow_sample.txt")
END = int(np.datetime64("1997-10-01").astype(int))
HOLDOUT_DAYS = 39 * 7


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    table = pq.read_table(PATH)
    day = table["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return merge_days(table["customer_id"].to_numpy(), day, table["spend"].to_numpy())


@pytest.fixture(scope="module")
def histories(purchases: Purchases) -> PurchaseHistories:
    return summarize_purchases(purchases, END)


def test_sample_has_the_published_parameters(histories: PurchaseHistories) -> None:
    numbers = np.array(SAMPLE.read_text().split(), np.int64)
    sample = histories.select(np.isin(histories.customer, numbers))
    assert len(sample) == 2_357
    fit = fit_purchases(sample).fits["bg_nbd"]
    model = BgNbd.from_logs(fit.logs)
    # Fader, Hardie and Lee (2005), table 2.
    figures = [round(value, 3) for value in (model.r, model.alpha, model.a, model.b)]
    assert figures == [0.243, 4.414, 0.793, 2.426]
    assert round(fit.log_likelihood, 1) == -9582.4


def test_whole_cohort_is_predicted_as_by_the_reference(
    purchases: Purchases, histories: PurchaseHistories
) -> None:
    actual, _ = count_purchases(purchases, histories, END, END + HOLDOUT_DAYS)
    assert len(histories) == 23_570
    assert actual.sum() == 19_684
    forecast = fit_purchases(histories).select("bg_nbd").forecast(histories)
    expected = forecast.predict_orders(HOLDOUT_DAYS / 7)
    assert expected.sum() == pytest.approx(16_874, abs=1)
    assert np.abs(expected - actual).mean() == pytest.approx(0.819, abs=5e-4)
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(0.669, abs=5e-4)
