"""The settings of a study: everything that decides its numbers, checked once. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from recorders.contract import InputError, unknown_name
from recorders.methods.registry import METHODS, STATIC

ALLOCATIONS = ("global", "matched", "uniform", "erk")
OPTIMIZERS = ("adam", "sgd")
LEARNING_RATE_SHAPES = ("constant", "cosine")
MERGE_METRICS = ("dot", "cosine", "mutual_information", "random")
PRECISIONS = ("float32", "bfloat16")
GRID = ("strategies", "sparsities", "compressions", "seeds")
# Runs are comparable where all other settings agree: these span the study, name a run, or change no number.
FREE = (*GRID, "axes", "allocation", "allow_empty_layers")


@dataclass(frozen=True)
class Settings:
    """Settings of one study.

    Attributes
    ----------
    data : str
        digits, mnist, fashion-mnist, kmnist, cifar10, cifar100, or the path of an image folder.
    image_size : int
        Zero-pad images to this many pixels a side; 0 leaves them as they are.
    strategies : tuple of str
        iterative, optimal, random, dense; or another way to prune while training: gmp, set, rigl, gumbel.
    sparsities : tuple of float
        Shares of prunable weights to remove.
    compressions : tuple of float
        Token merging ratios ρ of a ViT; 0 merges nothing.
    seeds : tuple of int
        One run per seed, strategy, sparsity and compression.
    axes : tuple of str
        Further settings that vary, as NAME=VALUE,VALUE; a mapping of lists in YAML. Each combination is a recording.
    allocation : str
        How `random` spreads its weights over layers: global, matched, uniform or erk.
    hidden : tuple of int
        Units of each hidden layer of the MLP.
    setup : str
        Train a ViT instead, given as EMBEDDINGxHEADS (384x3).
    resize : int
        Pixels a side that images are resized to on the device, a batch at a time; 0 leaves them as they are.
    patch : int
        Pixels a side of a ViT's patches.
    depth : int
        Encoder blocks of a ViT.
    mlp_ratio : float
        Hidden units of a ViT block's MLP, as a multiple of the embedding.
    merge_metric : str
        Similarity of tokens: dot, cosine, mutual_information, or random (a control).
    proportional_attention : bool
        Count a merged token as often as the tokens it stands for.
    flip : bool
        Mirror training images at random.
    crop_padding : int
        Pixels of padding before a random crop of training images; 0: no crop.
    precision : str
        float32, or bfloat16 (autocast; weights stay float32).
    epochs : int
        Passes over the training images.
    batch_size : int
        Images per optimiser step.
    optimizer : str
        adam or sgd.
    learning_rate : float
        Learning rate at the start.
    learning_rate_shape : str
        constant or cosine.
    momentum : float
        Momentum of sgd.
    weight_decay : float
        L2 penalty.
    interval : int
        Optimiser steps between records.
    pruning_interval : int
        Optimiser steps between mask updates; 0: the strategy's own (iterative, gumbel 16; gmp, rigl 100; set an epoch).
    pruning_end : float
        Share of training after which the mask stays.
    initial_sparsity : float
        Sparsity before the first mask update.
    evaluate_every : int
        Epochs between held-out evaluations.
    probe_every : int
        Mask updates between looks at the burden; 0: never.
    probe_size : int
        Held-out images the burden is measured on; all of them where there are fewer.
    allow_empty_layers : bool
        Go on when a layer loses its last weight.
    """

    data: str = "digits"
    image_size: int = 0
    strategies: tuple[str, ...] = ("iterative", "optimal", "random")
    sparsities: tuple[float, ...] = (0.7, 0.8, 0.9)
    compressions: tuple[float, ...] = (0.0,)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    axes: tuple[str, ...] = ()
    allocation: str = "global"
    hidden: tuple[int, ...] = (300, 100)
    setup: str = ""
    resize: int = 0
    patch: int = 16
    depth: int = 4
    mlp_ratio: float = 4.0
    merge_metric: str = "dot"
    proportional_attention: bool = False
    flip: bool = False
    crop_padding: int = 0
    precision: str = "float32"
    epochs: int = 60
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    learning_rate_shape: str = "constant"
    momentum: float = 0.9
    weight_decay: float = 0.0
    interval: int = 10
    pruning_interval: int = 0
    pruning_end: float = 1.0
    initial_sparsity: float = 0.0
    evaluate_every: int = 1
    probe_every: int = 1
    probe_size: int = 192
    allow_empty_layers: bool = False

    def __post_init__(self) -> None:
        """Check every value.

        Raises
        ------
        InputError
            A name that does not exist or a number out of range.
        """
        for kind, asked, known in (
            ("strategy", self.strategies, (*METHODS, *STATIC)),
            ("allocation", (self.allocation,), ALLOCATIONS),
            ("optimizer", (self.optimizer,), OPTIMIZERS),
            ("learning_rate_shape", (self.learning_rate_shape,), LEARNING_RATE_SHAPES),
            ("precision", (self.precision,), PRECISIONS),
            ("merge_metric", (self.merge_metric,), MERGE_METRICS),
        ):
            for name in asked:
                if name not in known:
                    raise unknown_name(kind, name, known)
        for name in GRID:
            _check_unique(name, getattr(self, name))
        if self.setup:
            setup_numbers(self.setup)
        for ratio in self.compressions:
            if not 0 <= ratio <= 1:
                raise InputError(f"compression {ratio:g} is outside [0, 1]: give the share of half the tokens to merge")
        for sparsity in (*self.sparsities, self.initial_sparsity):
            if not 0 <= sparsity < 1:
                raise InputError(f"sparsity {sparsity:g} is outside [0, 1): give the share of weights to remove")
        if self.strategies != ("dense",) and self.initial_sparsity > min(self.sparsities):
            raise InputError(f"initial_sparsity {self.initial_sparsity:g} is above sparsity {min(self.sparsities):g}")
        for name in (
            "epochs",
            "batch_size",
            "patch",
            "depth",
            "mlp_ratio",
            "interval",
            "evaluate_every",
            "learning_rate",
            "pruning_end",
        ):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")
        for name in (
            "image_size",
            "resize",
            "crop_padding",
            "momentum",
            "weight_decay",
            "probe_every",
            "pruning_interval",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.probe_size < 1:
            raise InputError(f"probe_size must be positive, got {self.probe_size}: probe_every 0 measures no burden")
        if self.momentum >= 1:
            raise InputError(f"momentum must be below 1, got {self.momentum:g}")
        if self.pruning_end > 1:
            raise InputError(f"pruning_end is a share of training in (0, 1], got {self.pruning_end:g}")
        if any(units <= 0 for units in self.hidden) or any(seed < 0 for seed in self.seeds):
            raise InputError("hidden units must be positive and seeds must not be negative")

    def as_dict(self) -> dict[str, Any]:
        """Return all settings with lists for tuples, as they are stored in JSON and YAML."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Build from a mapping, as read from YAML.

        Raises
        ------
        InputError
            A key that does not exist, a value of another type, or a value out of range.
        """
        defaults = {f.name: f.default for f in fields(cls)}
        checked: dict[str, Any] = {}
        for key, value in values.items():
            if key not in defaults:
                raise unknown_name("setting", str(key), defaults)
            checked[key] = _coerce(key, _axes(value) if key == "axes" else value, defaults[key])
        return cls(**checked)


def setup_numbers(setup: str) -> tuple[int, int]:
    """Read the embedding and the heads of a ViT's set-up.

    Raises
    ------
    InputError
        Not of the form EMBEDDINGxHEADS.
    """
    embedding, _, heads = setup.partition("x")
    if not (embedding.isdecimal() and heads.isdecimal() and int(embedding) and int(heads)):
        raise InputError(f"setup {setup!r} must be given as EMBEDDINGxHEADS, for example 384x3")
    return int(embedding), int(heads)


def prepared_by_batch(settings: Settings) -> bool:
    """Whether images stay uint8 and are prepared on the device: all that a ViT gets, and what is drawn anew."""
    return bool(settings.setup or settings.resize or settings.flip or settings.crop_padding)


def merges(settings: Settings) -> bool:
    """Whether networks have token merging, be it at ratio 0: all ViTs, and what varies the compression."""
    return bool(settings.setup) or settings.compressions != (0.0,)


def _axes(value: Any) -> Any:
    """Write a mapping of lists, as YAML has it, as the flags have it."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}={','.join(map(str, v if isinstance(v, list) else [v]))}" for name, v in value.items()]


def _check_unique(name: str, values: tuple[Any, ...]) -> None:
    if not values:
        raise InputError(f"{name} is empty: give at least one")
    if len(set(values)) < len(values):
        raise InputError(f"{name} has duplicates: {', '.join(map(str, values))}")


def _coerce(key: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise InputError(f"setting {key!r} takes a list, got {value!r}")
        like = default[0] if default else ""
        return tuple(_coerce(key, item, like) for item in value)
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 (no dot) as text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not kind:
        raise InputError(f"setting {key!r} takes a value of type {kind.__name__}, got {value!r}")
    return value
