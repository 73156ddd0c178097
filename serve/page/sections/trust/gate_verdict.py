"""The verdict of the gate in words: why the model in use may be used."""

from __future__ import annotations

from models.evaluation.record import EvaluationRecord, RecordedTest
from serve.page.content.evaluated import Evaluated, format_recorded, list_absent, list_records
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords

NAME = "gate"
# Digits of the number that each test judges, and whether it is written in per cent.
STYLES = {
    "enough_data": (0, False),
    "better_than_the_base_rate": (1, True),
    "ranks": (3, False),
    "not_worse_than_the_champion": (1, True),
    "not_worse_than_without_segments": (1, True),
}
DEFAULT_STYLE = (2, False)


def build_gate_verdict(models: Evaluated) -> Section:
    """Return the section: each test of the gate with its number and its limit, by target."""
    words, records = models.words, list_records(models)
    verdicts = [_describe_verdict(words, record) for record in records]
    causes = [
        f"{cause.name}: {cause.evidence}; {cause.fix}"
        for record in records
        for cause in record.gate.causes
    ]
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        tables=[
            *(_list_tests(words, record) for record in records),
            *(_quote_sentences(words, record) for record in records),
        ],
        notes=[
            *verdicts,
            *causes,
            *([words.text(NAME, "of_rows")] if records else []),
            *list_absent(models),
        ],
    )


def _describe_verdict(words: PageWords, record: EvaluationRecord) -> str:
    tests = record.gate.tests
    unmeasured = [test for test in tests if _is_unmeasured(test)]
    if failed := name_failed_tests(words, record):
        return words.text(NAME, "refused", target=record.target, failed=failed)
    verdict = words.count(NAME, "passed", len(tests) - len(unmeasured), target=record.target)
    if not unmeasured:
        return verdict
    names = ", ".join(_name_test(words, test) for test in unmeasured)
    return f"{verdict} {words.text(NAME, 'unmeasured', tests=names)}"


def name_failed_tests(words: PageWords, record: EvaluationRecord) -> str:
    """Return the plain names of the tests that a model failed; empty if it passed all."""
    return ", ".join(_name_test(words, test) for test in record.gate.tests if not test.passed)


def _is_unmeasured(test: RecordedTest) -> bool:
    """Return whether a test passed only because there was nothing to measure."""
    return test.passed and test.estimate.value is None


def _judge_test(words: PageWords, test: RecordedTest) -> str:
    if _is_unmeasured(test):
        return words.text(NAME, "not_applicable")
    return words.text(NAME, "yes" if test.passed else "no")


def _list_tests(words: PageWords, record: EvaluationRecord) -> Table:
    headings = [words.text(NAME, key) for key in ("test", "result", "measured", "needed", "rows")]
    rows = [
        [
            _name_test(words, test),
            _judge_test(words, test),
            _format_measured(words, test),
            _describe_bound(words, test),
            words.number(test.estimate.n) if test.estimate.n else "–",
        ]
        for test in record.gate.tests
    ]
    return Table(words.text(NAME, "caption", target=record.target), headings, rows, frozenset({4}))


def _quote_sentences(words: PageWords, record: EvaluationRecord) -> Table:
    """Return the sentence of each test as it is stored: it names the rows and the periods."""
    headings = [words.text(NAME, key) for key in ("test", "in_full")]
    rows = [[_name_test(words, test), test.sentence] for test in record.gate.tests]
    caption = words.text(NAME, "caption_full", target=record.target)
    return Table(caption, headings, rows, english=frozenset({1}), folded=True)


def _name_test(words: PageWords, test: RecordedTest) -> str:
    # A later version may know tests that this one has no text for.
    return words.texts[NAME].get(_key_of(test), test.name)


def _key_of(test: RecordedTest) -> str:
    return test.name.replace(" ", "_")


def _format_measured(words: PageWords, test: RecordedTest) -> str:
    digits, share = STYLES.get(_key_of(test), DEFAULT_STYLE)
    if test.estimate.value is None:
        return words.text(NAME, "not_measured")
    if test.estimate.low == test.estimate.high:
        return words.number(test.estimate.value, digits)
    return format_recorded(words, test.estimate, digits, share)


def _describe_bound(words: PageWords, test: RecordedTest) -> str:
    digits, share = STYLES.get(_key_of(test), DEFAULT_STYLE)
    write = words.percent if share else words.number
    low, high = test.bound_low, test.bound_high
    if low is not None and high is not None:
        return words.text(NAME, "between", low=write(low, digits), high=write(high, digits))
    if low is not None:
        # The number of leads may equal its limit, an interval must lie above it.
        keys = {"enough_data": "at_least", "not_worse_than_without_segments": "reaches"}
        key = keys.get(_key_of(test), "above")
        return words.text(NAME, key, low=write(low, digits))
    return words.text(NAME, "below", high=write(high, digits)) if high is not None else "–"
