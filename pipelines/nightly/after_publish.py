"""After publishing: export and deliver the newest scores, and remove old ones."""

from __future__ import annotations

import pyarrow as pa

from configs.durations import format_duration
from pipelines.nightly.context import NightContext
from pipelines.nightly.crm_delivery import deliver_exports, make_delivery_error
from pipelines.nightly.export import covers_newest_run, export_newest_scores
from pipelines.results.night import NightResult, PublishedScores
from serve.crm.delivery import DeliveryResult


def finish_night(context: NightContext, published: PublishedScores, form: str) -> NightResult:
    """Export and deliver the newest scores, and remove those older than the config keeps.

    Raises what writing the CRM's file raises, and LeadscoreError where a delivery failed; the
    scores are published all the same.
    """
    # A failed background write is raised here, once the scores are published, and stops nothing
    # before.
    staged = published.staged_export.result()
    # The export comes before the deliveries, any of which may fail without taking the file away.
    export, exported_as_of = context.runner.run(export_newest_scores, context, form, staged)
    deliveries = deliver_all_exports(context, published.scores)
    remove_old_scores(context, published)
    return NightResult(
        published=published, export=export, exported_as_of=exported_as_of, deliveries=deliveries
    )


def deliver_all_exports(
    context: NightContext, scores: pa.Table | None = None
) -> tuple[DeliveryResult, ...]:
    """Deliver the newest scores to every configured CRM.

    ``scores`` of a run are used where they are all scores of the newest as-of; otherwise the
    table is read. Raises LeadscoreError, after all exports were tried, if one failed.
    """
    project = context.project
    newest = context.store.last_published_run(project.project)
    # Scores in hand save reading the table back, which for a million rows takes longer than
    # writing.
    in_hand = scores if newest and covers_newest_run(scores, newest, project) else None
    delivered, failures = context.runner.run(deliver_exports, context, in_hand)
    if failures:
        raise make_delivery_error(failures, project)
    return tuple(delivered)


def remove_old_scores(context: NightContext, published: PublishedScores) -> None:
    """Remove scores whose as-of lies more than ``publish.keep`` before the published one."""
    project, keep = context.project, context.project.publish.keep
    if keep is None:
        return
    # Counted from the as-of and not from the clock, so that a late run removes the same rows.
    removed = context.store.delete_scores_before(project.project, published.as_of - keep)
    if removed:
        context.runner.log(
            f"removed the scores of {removed:,} runs (counted per target) that are older than "
            f"{format_duration(keep)}"
        )
