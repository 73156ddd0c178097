"""Which model predicts the leads of each segment, and what the choice gained."""

from __future__ import annotations

from models.evaluation.record import EvaluationRecord, RecordedEstimate, RecordedSegment
from serve.page.content.evaluated import Evaluated, list_records
from serve.page.content.parts import Section, Table
from serve.page.content.words import MINUS, PageWords

NAME = "segment_models"
# Digits of a gain in log loss, in nats a row.
GAIN_DIGITS = 4
COLUMNS = ("segment", "model", "outcomes", "chosen_on", "gain", "test_gain", "why")
NUMERIC = frozenset({2, 3, 4, 5})


def build_segment_models(models: Evaluated) -> Section | None:
    """Return the section: the model of each segment, by target; None without models by segment."""
    words = models.words
    records = [record for record in list_records(models) if record.segments]
    if not records:
        return None
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        tables=[_list_segments(words, record) for record in records],
        notes=[*(_summarize_choice(words, record) for record in records), words.text(NAME, "note")],
    )


def _list_segments(words: PageWords, record: EvaluationRecord) -> Table:
    rows = [
        [
            _name_segment(words, segment),
            words.text(NAME, f"model_{segment.model}"),
            words.number(segment.n_pos),
            words.number(segment.n_pos_validation),
            _format_gain(words, segment.gain),
            _format_gain(words, segment.test_gain),
            _explain_choice(words, segment),
        ]
        for segment in record.segments
    ]
    caption = words.text(NAME, "caption", target=record.target, column=record.segment_by or "")
    return Table(caption, [words.text(NAME, key) for key in COLUMNS], rows, NUMERIC)


def _name_segment(words: PageWords, segment: RecordedSegment) -> str:
    """Return the value; in the page's language for the rows of leads that belong to no segment."""
    return words.texts[NAME].get(f"name_{segment.reason}", segment.segment)


def _explain_choice(words: PageWords, segment: RecordedSegment) -> str:
    text = words.text(NAME, f"why_{segment.reason}")
    if segment.reason in ("not_better", "unstable") and segment.alternative:
        return f"{words.text(NAME, f'model_{segment.alternative}')}: {text}"
    return text


def _summarize_choice(words: PageWords, record: EvaluationRecord) -> str:
    other = [segment for segment in record.segments if segment.model != "global"]
    if not other:
        return words.text(NAME, "all_global", target=record.target)
    names = ", ".join(segment.segment for segment in other)
    return words.text(NAME, "others", target=record.target, names=names)


def _format_gain(words: PageWords, gain: RecordedEstimate) -> str:
    if gain.value is None or gain.low is None or gain.high is None:
        return "–"
    value, low, high = (words.number(end, GAIN_DIGITS) for end in (gain.value, gain.low, gain.high))
    return f"{value if value.startswith(MINUS) else f'+{value}'} ({low}…{high})"
