"""Pairs of reasons of one lead that do not make sense together, by their English sentences.

This is independent of the rules by which reasons are selected, so that it can disagree with them.
"""

import re
from itertools import combinations

LENGTH = re.compile(r"(?:\b([\d,]+) (day|hour)s?\b|less than an hour)(?= ago| in this stage|$)")
COUNT = re.compile(r"^(?:only )?([\d,]+) ")
LONG = re.compile(r"^no .* for [\d,]+ (day|hour)s?$")
LAST = re.compile(r"^last .* ([\d,]+) (day|hour)s? ago$")
NOTHING = re.compile(r"^(no|never|nobody) ")
WINDOW = re.compile(r"in the last (?:(\d+) )?(day|hour|minute)s?")
IN_DAYS = {"day": 1, "hour": 1 / 24, "minute": 1 / 1440}


def repeated(lead, features):
    """Yield the pairs of reasons that say the same thing."""
    for one, other in combinations(lead, 2):
        a, b = features[one["feature"]], features[other["feature"]]
        same_subject = (a.scope, a.meaning.subject) == (
            b.scope,
            b.meaning.subject,
        ) and a.meaning.subject != "any"
        if (
            one["sentence"] == other["sentence"]
            or same_subject
            or (a.meaning.key == b.meaning.key and _same(a, b))
            or (_may_share(a, b) and _number(one) is not None and _number(one) == _number(other))
            or _follows(one, other, a, b)
            or _follows(other, one, b, a)
        ):
            yield one, other


def contradictory(lead, features):
    """Yield the pairs of reasons that speak against each other."""
    for one, other in combinations(lead, 2):
        a, b = features[one["feature"]], features[other["feature"]]
        if (one["contribution"] > 0) == (other["contribution"] > 0) or not _may_share(a, b):
            continue
        within = _contains(a, b) or _contains(b, a)
        if within and _lacks(one) and _lacks(other):
            yield one, other  # a lack that is good beside one that is bad
        elif _same(a, b) and a.meaning.subject != "any":
            yield one, other  # much and little of one thing
        elif (
            _same(a, b)
            and (LONG.match(one["sentence"]) or LONG.match(other["sentence"]))
            and _recent(one, other)
        ):
            yield one, other  # lately, and not for long


def _recent(*pair):
    return any(re.match(r"last .* ago$", one["sentence"]) for one in pair)


def _lacks(one):
    text = one["sentence"]
    return bool(NOTHING.match(text)) or text.startswith("only ") or " fewer " in text


def _number(one):
    """Return the count or the length of time that a sentence gives, as written."""
    text = one["sentence"]
    length = LENGTH.search(WINDOW.sub("", text))
    if length:
        return length.group(0)
    count = COUNT.match(text)
    return count.group(1) if count and not NOTHING.match(text) else None


def _follows(one, other, a, b):
    """Return whether the second reason follows from the first."""
    says = NOTHING.match(one["sentence"]) or LAST.match(one["sentence"])
    if not (_contains(a, b) and says and NOTHING.match(other["sentence"])):
        return False
    return _reach(other) <= _reach(one)


def _reach(one):
    """Return for how many days a sentence says that there was nothing."""
    if LONG.match(one["sentence"]) or LAST.match(one["sentence"]):
        number, unit = re.search(r" ([\d,]+) (day|hour)s?(?: ago)?$", one["sentence"]).groups()
        return float(number.replace(",", "")) * IN_DAYS[unit]
    window = WINDOW.search(one["sentence"])
    return float(window.group(1) or 1) * IN_DAYS[window.group(2)] if window else float("inf")


def _same(a, b):
    return (a.scope, a.meaning.subject) == (b.scope, b.meaning.subject)


def _contains(a, b):
    """Return whether all events of b are events of a."""
    if "lead" in (a.scope, b.scope):
        return False
    return a.scope in (b.scope, "account") and a.meaning.subject in ("any", b.meaning.subject)


def _may_share(a, b):
    """Return whether one event may count for both."""
    if "lead" in (a.scope, b.scope) or {a.scope, b.scope} == {"entity", "others"}:
        return False
    kinds = [feature.meaning.subject.partition(":")[0] for feature in (a, b)]
    return a.meaning.subject == b.meaning.subject or "any" in kinds or kinds[0] != kinds[1]
