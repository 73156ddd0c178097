"""The JSON Schema of each command."""

from __future__ import annotations

from typing import Any

from pipelines.json_output import (
    channels,
    customers,
    explain,
    fit,
    forecast,
    funnel,
    nightly,
    proposal,
    tables,
    touches,
    training,
    uplift,
    verify,
)
from pipelines.json_output.shared import JsonObject

# Each command with --json, as it is written on the command line, with the models of its output.
OUTPUTS: dict[str, tuple[type[JsonObject], ...]] = {
    "init": (proposal.InitOutput,),
    "check": (training.CheckOutput,),
    "features --out": (training.MatrixOutput,),
    "features --list": (training.CatalogOutput,),
    "features --ablation": (training.AblationOutput,),
    "audit": (training.AuditOutput,),
    "train": (training.TrainOutput,),
    "backtest": (training.BacktestOutput,),
    "promote": (training.ChampionOutput,),
    "rollback": (training.ChampionOutput,),
    "funnel": (funnel.FunnelOutput,),
    "forecast": (forecast.ForecastOutput,),
    "forecast --backtest": (forecast.ForecastBacktestOutput,),
    "fit": (fit.FitOutput,),
    "customers": (customers.CustomersOutput,),
    "customers --backtest": (customers.CustomerBacktestOutput,),
    "channels": (channels.ChannelsOutput,),
    "channels --paths": (channels.PathCreditsOutput,),
    "touches": (touches.TouchesOutput,),
    "uplift": (uplift.UpliftOutput,),
    "score": (nightly.ScoreOutput,),
    "score --dry-run": (nightly.DryRunOutput,),
    "score --until": (nightly.BackfillOutput,),
    "export": (nightly.ExportOutput,),
    "export --format": (nightly.DeliveryOutput,),
    "export --deliveries": (nightly.DeliveriesOutput,),
    "export --ack": (nightly.AcknowledgementOutput,),
    "outcomes": (nightly.OutcomesOutput,),
    "report": (nightly.ReportOutput,),
    "explain": (explain.ExplainOutput,),
    "forget": (nightly.ForgetOutput,),
    "deploy --status": (nightly.StatusOutput,),
    "deploy --give-up": (nightly.GivenUpOutput,),
    "verify": (verify.VerifyOutput,),
    "schema --tables": (tables.TablesOutput,),
    "demo": (nightly.DemoOutput, nightly.RefusedDemoOutput),
}


def build_output_schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema of what a command of OUTPUTS prints with ``--json``.

    A command that fails before it has a result prints an ErrorOutput instead.
    """
    schemas = [model.model_json_schema(by_alias=True) for model in OUTPUTS[command]]
    definitions: dict[str, Any] = {}
    for schema in schemas:
        definitions |= schema.pop("$defs", {})
    body = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **body, "$defs": definitions}
