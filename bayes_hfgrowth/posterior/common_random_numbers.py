"""Common random numbers: sources that hang on names alone, and a maximal coupling.

Whoever asks with the same seed, purpose and names gets the same numbers, in whatever order,
process or machine. Base models that choose draws by the same numbers choose alike where their
weights are alike, so draw j of all of them goes together.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.growth.law import Floats, Integers

__all__ = ["CANDIDATES", "OF_FIT", "OF_POPULATION", "Moves", "coupled", "random_of"]

CANDIDATES = 64
"""Draws of the population that are tried in place of one whose weight is too small."""

OF_FIT, OF_POPULATION = 11, 14
"""Purposes of the random numbers that continue period effects, of a fit and of a population."""


def random_of(seed: int, purpose: int, *parts: bytes) -> np.random.Generator:
    """Source of random numbers that hangs on a seed and on names alone.

    Parameters
    ----------
    seed : int
        From 0 on.
    purpose : int
        Keeps numbers for different purposes apart.
    *parts : bytes
        Names, or whatever else sets one source apart from another.
    """
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts))
    words = np.frombuffer(digest.digest(), dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, purpose, *words]))


class Moves(NamedTuple):
    """Random numbers that decide, alike for all base models, which draws are replaced, and by what.

    Parameters
    ----------
    leave : ndarray, shape (draws,)
        Uniform between 0 and 1.
    candidates : ndarray of int, shape (draws, candidates)
        Draws of the population, in the order in which they are tried.
    heights : ndarray, shape (draws, candidates)
        Uniform between 0 and 1.
    """

    leave: Floats
    candidates: npt.NDArray[np.integer]
    heights: npt.NDArray[np.floating]

    @classmethod
    def of(cls, draws: int, rng: np.random.Generator) -> "Moves":
        """Draw them."""
        shape = (draws, CANDIDATES)
        candidates = rng.integers(0, draws, shape, dtype=np.int32)
        return cls(rng.random(draws), candidates, rng.random(shape, dtype=np.float32))


def coupled(weights: Floats, moves: Moves, rng: np.random.Generator) -> Integers:
    """Draw positions by their weights, as many as can be where they are.

    Each position is kept with probability min(1, J w), for the J weights w, and else replaced by
    rejection sampling in proportion to what the others' weights have above 1 / J.

    Parameters
    ----------
    weights : ndarray, shape (draws,)
        Summing to 1.
    moves : Moves
        The same for weights that are to be coupled with each other, too: where they are alike,
        what they choose is.
    rng : numpy.random.Generator
        For positions that all candidates of `moves` are refused.

    Returns
    -------
    ndarray of int, shape (draws,)
        A maximal coupling of the weights with ``0, 1, 2, ...``.
    """
    number = len(weights)
    scaled = number * weights
    which = np.arange(number)
    moved = np.flatnonzero(moves.leave >= scaled)
    excess = np.maximum(scaled - 1.0, 0.0)
    if len(moved) and excess.max() > 0.0:
        candidates = moves.candidates[moved]
        accepted = moves.heights[moved] * excess.max() < excess[candidates]
        found = candidates[np.arange(len(moved)), accepted.argmax(axis=1)].astype(np.int64)
        refused = np.flatnonzero(~accepted.any(axis=1))
        sums = np.cumsum(excess)
        at = np.searchsorted(sums, rng.random(len(refused)) * sums[-1], side="right")
        found[refused] = np.minimum(at, np.argmax(sums))
        which[moved] = found
    return which
