"""Journeys: the channels that touched each account, in the order of time, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from models.survival.stays import BUCKETS


@dataclass(frozen=True)
class Journeys:
    """Journeys, each with at least one touch; a row may stand for many equal ones.

    Attributes:
        channels: Names of the channels.
        channel: Place in ``channels`` of each touch, int64 (touches,), journey by journey.
        first: Number of the first touch of each journey, and that of all touches at the end, int64
            (journeys + 1,).
        conversions: How many of the row's journeys ended in a conversion, float64 (journeys,).
        nulls: How many ended without one, float64 (journeys,).
        bucket: Bucket of the bootstrap of each journey, int64 (journeys,).
        days_before: Days from each touch to the end of its journey, float64 (touches,); None where
            the touches have no times.
    """

    channels: tuple[str, ...]
    channel: np.ndarray
    first: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    bucket: np.ndarray
    days_before: np.ndarray | None = None

    @classmethod
    def from_paths(
        cls, paths: Sequence[Sequence[str]], conversions: np.ndarray, nulls: np.ndarray
    ) -> Self:
        """Take paths, which are lists of channels with at least one, and their counts."""
        sizes = np.array([len(path) for path in paths], np.int64)
        touches = np.array([name for path in paths for name in path], object)
        names, channel = np.unique(touches.astype(str), return_inverse=True)
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        bucket = np.arange(len(sizes)) % BUCKETS
        return cls(
            tuple(map(str, names)),
            channel.astype(np.int64),
            first,
            np.asarray(conversions, np.float64),
            np.asarray(nulls, np.float64),
            bucket,
        )

    @cached_property
    def sizes(self) -> np.ndarray:
        """Return the number of touches of each journey, int64 (journeys,)."""
        return np.diff(self.first)

    @cached_property
    def journey(self) -> np.ndarray:
        """Return the journey of each touch, int64 (touches,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Return journey and channel of each channel that a journey has, once, in order."""
        width = len(self.channels)
        pairs = np.unique(self.journey * width + self.channel)
        return np.divmod(pairs, width) if width else (pairs, pairs)

    def sum_by_bucket(
        self, journey: np.ndarray, channel: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return the sums of weights by bucket and channel, float64 (BUCKETS, channels)."""
        width = len(self.channels)
        cell = self.bucket[journey] * width + channel
        return np.bincount(cell, weight, BUCKETS * width).reshape(BUCKETS, width)
