"""States of a lead on its way to the win, from the stages and the targets of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from configs.errors import ConfigError
from configs.schema import Project
from configs.targets import Target

# The state of a lead that has not reached any stage.
CREATED = "created"
# The state of a lead that has been won, by any outcome event of the target.
WON = "won"


@dataclass(frozen=True)
class FunnelStates:
    """States by number: the stages from first to last, the win, and each way to be lost.

    Attributes:
        target: The target whose outcome is the win.
        stages: CREATED and the event types that are stages before the win, from first to last.
        wins: Event types that are the win.
        losses: Event types that end a lead without a win.
        reopens: Event types after which a lead that had ended is open again.
    """

    target: str
    stages: tuple[str, ...]
    wins: tuple[str, ...]
    losses: tuple[str, ...]
    reopens: tuple[str, ...]

    @property
    def won(self) -> int:
        """Return the number of the state of a win; losses follow it."""
        return len(self.stages)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the name of each state."""
        return (*self.stages, WON, *self.losses)

    @cached_property
    def state_of_type(self) -> dict[str, int]:
        """Return the state that each event type leads to; -1 for one that only reopens."""
        states = dict.fromkeys(self.reopens, -1)
        states |= {name: place for place, name in enumerate(self.stages) if place}
        states |= {name: self.won + 1 + place for place, name in enumerate(self.losses)}
        return states | dict.fromkeys(self.wins, self.won)


def list_funnel_states(project: Project, target: str | None = None) -> FunnelStates:
    """Return the states of a funnel; ``target`` names the target whose outcome is the win.

    By default that is the target whose outcome comes last: not one that only begins another target,
    and as late as possible in ``features.stages``. Without stages, those outcomes are stages at
    which the targets before it end. Losses are the other event types of ``population.until``,
    ``population.closed_by`` and ``features.ends``. Raises ConfigError where no target has an
    outcome event.
    """
    followed = {n: t for n, t in project.targets.items() if t.outcome_types}
    if target is not None:
        project.target_config(target)
        followed_name = target if target in followed else None
    else:
        followed_name = _choose_last_target(project, followed)
    if followed_name is None:
        raise ConfigError(
            "a funnel needs an outcome with a time",
            where=f"{project.path}: targets" + (f".{target}" if target else ""),
            found="an outcome column" if followed != project.targets else "no target",
            fix="give a target an outcome event, such as outcome: won",
        )
    wins = followed[followed_name].outcome_types
    before = [t for t in followed.values() if not set(wins) & {t.population.after}]
    stages = _list_stages(project, followed, followed_name)
    outcomes = {
        name for t in followed.values() for name in (*t.outcome_types, *t.outcome_revoked_by)
    }
    reopens = tuple(dict.fromkeys(name for t in before for name in t.population.reopen))
    ends = [name for t in before for name in (*t.population.until, *t.population.closed_by)]
    # Stages behind the win are no loss either.
    others = {*stages, *project.features.stages, *outcomes, *reopens}
    losses = tuple(
        name for name in dict.fromkeys([*ends, *project.features.ends]) if name not in others
    )
    return FunnelStates(followed_name, (CREATED, *stages), wins, losses, reopens)


def _choose_last_target(project: Project, targets: Mapping[str, Target]) -> str | None:
    """Return the name of the target whose outcome comes last, None without any."""
    once = {n: t for n, t in targets.items() if not t.population.recurring} or targets
    starts = {t.population.after for t in once.values()}
    last = {n: t for n, t in once.items() if not set(t.outcome_types) <= starts} or once
    stages = project.features.stages
    ranks = {
        name: max(stages.index(o) if o in stages else len(stages) for o in t.outcome_types)
        for name, t in last.items()
    }
    # Of several that come last it is the one that the config names last.
    return max(reversed(ranks), key=lambda name: ranks[name], default=None)


def _list_stages(project: Project, targets: Mapping[str, Target], last: str) -> list[str]:
    """Return the event types that are stages before the win, from first to last."""
    wins, stages = targets[last].outcome_types, list(project.features.stages)
    if not stages:
        return _list_outcomes_before(targets, last)
    places = [stages.index(name) for name in wins if name in stages]
    before = stages[: min(places, default=len(stages))]
    return [name for name in dict.fromkeys(before) if name != CREATED]


def _list_outcomes_before(targets: Mapping[str, Target], last: str) -> list[str]:
    """Return the events that targets begin with, followed back from the last target."""
    stages: list[str] = []
    start = targets[last].population.after
    while start != CREATED and start not in stages:
        stages.insert(0, start)
        earlier = [t for t in targets.values() if start in t.outcome_types]
        start = earlier[0].population.after if earlier else CREATED
    return stages
