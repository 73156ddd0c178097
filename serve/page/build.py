"""Builds the page of a night from its data: the sections in their order, and the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from configs.schema import Project
from models.evaluation.record import EvaluationRecord
from serve.page.content.evaluated import Evaluated, TrainingContents
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section
from serve.page.content.words import PageWords
from serve.page.render import render_page
from serve.page.runtime import bundle_chart_library
from serve.page.sections.channels.section import build_channel_section
from serve.page.sections.customers.at_stake import build_customers_at_stake
from serve.page.sections.customers.curve import build_customer_curve
from serve.page.sections.customers.revenue import build_customer_revenue
from serve.page.sections.customers.states import build_customer_states
from serve.page.sections.customers.values import build_customer_values
from serve.page.sections.customers.win_backs import build_win_backs
from serve.page.sections.fit.profile import build_fit_profile
from serve.page.sections.fit.white_space import build_white_space
from serve.page.sections.forecast.section import build_forecast_section
from serve.page.sections.funnel.aging import build_aging
from serve.page.sections.funnel.curves import build_curves
from serve.page.sections.funnel.cycle import build_cycle
from serve.page.sections.funnel.handover import build_handover
from serve.page.sections.funnel.leak import build_leak
from serve.page.sections.funnel.losses import build_losses
from serve.page.sections.funnel.missing import build_missing
from serve.page.sections.funnel.paths import build_paths
from serve.page.sections.funnel.stuck import build_stuck
from serve.page.sections.leads.committees import build_committees
from serve.page.sections.leads.lead_list import build_lead_list
from serve.page.sections.leads.night_changes import build_night_changes
from serve.page.sections.models.champions import build_champions
from serve.page.sections.models.importance import build_importance
from serve.page.sections.models.model_metrics import build_model_metrics
from serve.page.sections.models.segment_models import build_segment_models
from serve.page.sections.today.summary import build_summary
from serve.page.sections.touches.next_touches import build_next_touches_section
from serve.page.sections.trust.capacity import build_capacity
from serve.page.sections.trust.checks import build_checks
from serve.page.sections.trust.data_health import build_data_health
from serve.page.sections.trust.forecast_track import build_forecast_track
from serve.page.sections.trust.gate_verdict import build_gate_verdict
from serve.page.sections.trust.promised import build_promised
from serve.page.sections.trust.reliability import build_reliability
from serve.page.sections.trust.suspects import build_suspects
from serve.page.sections.visitors.web_funnel import build_web_funnel_section

# Of a night and of the report of one training.
TRUST_SECTIONS: tuple[Callable[[Evaluated], Section], ...] = (
    build_reliability,
    build_capacity,
)
MODEL_SECTIONS: tuple[Callable[[Evaluated], Section | None], ...] = (
    build_gate_verdict,
    build_suspects,
    build_model_metrics,
    build_segment_models,
    build_importance,
)
# The company as a whole.
FUNNEL_SECTIONS: tuple[Callable[[PageData], Section | None], ...] = (
    build_missing,
    build_losses,
    build_leak,
    build_curves,
    build_paths,
    build_cycle,
    build_aging,
    build_stuck,
    build_handover,
    build_web_funnel_section,
)
# What sales needs comes first, and what only the data team reads comes last. A section returns
# None where the data has nothing to say about it.
SECTIONS: tuple[Callable[[PageData], Section | None], ...] = (
    build_summary,
    build_forecast_section,
    build_night_changes,
    build_lead_list,
    build_committees,
    build_white_space,
    build_fit_profile,
    *FUNNEL_SECTIONS,
    build_channel_section,
    build_next_touches_section,
    build_customer_curve,
    build_customer_states,
    build_customers_at_stake,
    build_win_backs,
    build_customer_values,
    build_customer_revenue,
    build_forecast_track,
    build_promised,
    *TRUST_SECTIONS,
    *MODEL_SECTIONS,
    build_champions,
    build_checks,
    build_data_health,
)


def build_page(data: PageData) -> bytes:
    """Return the page of a night as one HTML file, UTF-8."""
    sections = [section for build in SECTIONS if (section := build(data)) is not None]
    words = data.words
    notes = [words.text("frame", "hidden_ids")] if data.hides_ids else []
    if gone := [name for name in data.run.models if name not in data.project.targets]:
        notes.append(words.text("frame", "gone_targets", targets=", ".join(gone)))
    sections[0] = replace(sections[0], notes=[*sections[0].notes, *notes])
    facts = {
        words.text("frame", "as_of"): words.zoned_moment(data.as_of),
        words.text("frame", "scores"): words.number(data.scores.num_rows),
    }
    title = words.text("frame", "title", project=data.project.project)
    library = bundle_chart_library(data.project.workspace_path)
    return render_page(title, facts, sections, words, words.text("frame", "intro"), library)


def build_training_page(record: EvaluationRecord, project: Project, words: PageWords) -> bytes:
    """Return the report of one training as one HTML file, UTF-8."""
    contents = TrainingContents(words, {record.target: record})
    facts = {
        words.text("frame", "trained"): record.trained_as_of[:10],
        words.text("frame", "rows"): words.number(record.mature),
    }
    title = words.text("frame", "training", project=project.project, target=record.target)
    sections = [
        section
        for build in (*TRUST_SECTIONS, *MODEL_SECTIONS)
        if (section := build(contents)) is not None
    ]
    intro, library = (
        words.text("frame", "training_intro"),
        bundle_chart_library(project.workspace_path),
    )
    intro = words.text("frame", "training_intro")
    return render_page(title, facts, sections, words, intro, library)
