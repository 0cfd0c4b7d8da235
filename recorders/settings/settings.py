"""The settings of a study: everything that decides its numbers, checked once. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import to_jsonable_python

from recorders.contract import SECTIONS, InputError, flat_config, unknown_name
from recorders.methods.registry import METHODS, STATIC
from recorders.settings.checking import Amount, Count, Flag, Number, Seed, places, section

Item = TypeVar("Item")
# Runs are comparable where all other settings agree: these span the study, name a run, or change no number.
FREE = ("strategies", "sparsities", "compressions", "seeds", "axes", "allocation", "allow_empty_layers")


def setup_numbers(setup: str) -> tuple[int, int]:
    """Read the embedding and the heads of a ViT's set-up."""
    embedding, _, heads = setup.partition("x")
    if not (embedding.isdecimal() and heads.isdecimal() and int(embedding) and int(heads)):
        raise InputError(f"setup {setup!r} must be given as EMBEDDINGxHEADS, for example 384x3")
    return int(embedding), int(heads)


def _strategy(name: str) -> str:
    if name not in (known := (*METHODS, *STATIC)):
        raise unknown_name("strategy", name, known)
    return name


def _setup(setup: str) -> str:
    if setup:
        setup_numbers(setup)
    return setup


def _unique(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if not values:
        raise ValueError("is empty: give at least one")
    if len(set(values)) < len(values):
        raise ValueError(f"has duplicates: {', '.join(map(str, values))}")
    return values


def _named(data: Any) -> Any:
    """Take a name alone for the data of this name."""
    return {"name": data} if isinstance(data, str) else data


def _axes(value: Any) -> Any:
    """Write a mapping of lists, as YAML has it, as the flags have it."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}={','.join(map(str, v if isinstance(v, list) else [v]))}" for name, v in value.items()]


Share = Annotated[Number, Field(ge=0, lt=1)]


@section
class DataSettings:
    """Images and how they are prepared."""

    name: str = "digits"
    """digits, mnist, fashion-mnist, kmnist, cifar10, cifar100, or the path of an image folder."""
    image_size: Amount = 0
    """Zero-pad images to this many pixels a side; 0 leaves them as they are."""
    resize: Amount = 0
    """Pixels a side that images are resized to on the device, a batch at a time; 0 leaves them as they are."""
    flip: Flag = False
    """Mirror training images at random."""
    crop_padding: Amount = 0
    """Pixels of padding before a random crop of training images; 0: no crop."""


@section
class NetworkSettings:
    """The MLP, or the ViT and its token merging."""

    hidden: tuple[Count, ...] = (300, 100)
    """Units of each hidden layer of the MLP."""
    setup: Annotated[str, AfterValidator(_setup)] = ""
    """Train a ViT instead, given as EMBEDDINGxHEADS (384x3)."""
    patch: Count = 16
    """Pixels a side of a ViT's patches."""
    depth: Annotated[Count, Field(le=1000)] = 4
    """Encoder blocks of a ViT."""
    mlp_ratio: Annotated[Number, Field(gt=0, le=1000)] = 4.0
    """Hidden units of a ViT block's MLP, as a multiple of the embedding."""
    merge_metric: Literal["dot", "cosine", "mutual_information", "random"] = "dot"
    """Similarity of tokens: dot, cosine, mutual_information, or random (a control)."""
    proportional_attention: Flag = False
    """Count a merged token as often as the tokens it stands for."""


@section
class TrainingSettings:
    """The optimiser and how long it runs."""

    epochs: Count = 60
    """Passes over the training images."""
    batch_size: Count = 128
    """Images per optimiser step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """adam or sgd."""
    learning_rate: Annotated[Number, Field(gt=0)] = 1e-3
    """Learning rate at the start."""
    learning_rate_shape: Literal["constant", "cosine"] = "constant"
    """constant or cosine."""
    momentum: Share = 0.9
    """Momentum of sgd."""
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    """L2 penalty."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """float32, or bfloat16 (autocast; weights stay float32)."""


@section
class PruningSettings:
    """When masks change, and how random ones are spread."""

    interval: Amount = 0
    """Optimiser steps between mask updates; 0: the strategy's own (iterative, gumbel 16; gmp, rigl 100; set an epoch).
    """
    end: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Share of training after which the mask stays."""
    initial_sparsity: Share = 0.0
    """Sparsity before the first mask update."""
    allocation: Literal["global", "matched", "uniform", "erk"] = "global"
    """How `random` spreads its weights over layers: global, matched, uniform or erk."""
    allow_empty_layers: Flag = False
    """Go on when a layer loses its last weight."""


@section
class RecordingSettings:
    """How often is looked."""

    interval: Count = 10
    """Optimiser steps between records."""
    sample_every: Count = 1
    """Measure one step of so many for the interval means, drawn from the seed; 1: every step."""
    evaluate_every: Count = 1
    """Epochs between held-out evaluations."""
    indicators: tuple[Literal["update_norm"], ...] = ()
    """Further indicators: update_norm, how far a step moves the weights (needs a copy of them)."""


@section
class ProbeSettings:
    """How the burden is measured."""

    every: Amount = 1
    """Mask updates between looks at the burden; 0: never."""
    size: Count = 192
    """Held-out images the burden is measured on; all of them where there are fewer."""


@section
class Settings:
    """Settings of one study."""

    data: Annotated[DataSettings, BeforeValidator(_named)] = DataSettings()
    strategies: Annotated[tuple[Annotated[str, AfterValidator(_strategy)], ...], AfterValidator(_unique)] = (
        "iterative",
        "optimal",
        "random",
    )
    """iterative, optimal, random, dense; or another way to prune while training: gmp, set, rigl, gumbel."""
    sparsities: Annotated[tuple[Share, ...], AfterValidator(_unique)] = (0.7, 0.8, 0.9)
    """Shares of prunable weights to remove."""
    compressions: Annotated[tuple[Annotated[Number, Field(ge=0, le=1)], ...], AfterValidator(_unique)] = (0.0,)
    """Token merging ratios ρ of a ViT; 0 merges nothing."""
    seeds: Annotated[tuple[Seed, ...], AfterValidator(_unique)] = (0, 1, 2, 3, 4)
    """One run per seed, strategy, sparsity and compression."""
    axes: Annotated[tuple[str, ...], BeforeValidator(_axes)] = ()
    """Further settings that vary, as NAME=VALUE,VALUE; a mapping of lists in YAML. Each combination is a recording."""
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    pruning: PruningSettings = PruningSettings()
    recording: RecordingSettings = RecordingSettings()
    probe: ProbeSettings = ProbeSettings()

    @model_validator(mode="after")
    def _starts_below(self) -> Settings:
        start, lowest = self.pruning.initial_sparsity, min(self.sparsities)
        if self.strategies != ("dense",) and start > lowest:
            raise InputError(f"initial_sparsity {start:g} is above sparsity {lowest:g}")
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, nested, with lists for tuples, as they are stored in JSON and YAML."""
        found: dict[str, Any] = to_jsonable_python(self)
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Build from a nested mapping, as read from YAML.

        Raises
        ------
        InputError
            A key that does not exist, a value of another type, or a value out of range.
        """
        return cls(**{str(name): value for name, value in values.items()})

    def with_values(self, **values: Any) -> Settings:
        """Return settings that differ in some values, given by their short names: ``epochs``, ``pruning_interval``.

        Raises
        ------
        InputError
            As `from_dict`.
        """
        return Settings.from_dict(laid_over(self.as_dict(), nested(values)))


PLACES = places(Settings)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sort settings given by their short names into sections."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in PLACES:
            raise unknown_name("setting", name, PLACES)
        *inside, field = PLACES[name]
        (found.setdefault(inside[0], {}) if inside else found)[field] = value
    return found


def laid_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested settings over others, one value at a time."""
    found = dict(lower)
    for name, value in upper.items():
        below, own = found.get(name), _named(value) if name == "data" else value
        if name in SECTIONS and isinstance(below, Mapping) and isinstance(own, Mapping):
            own = {**below, **own}
        found[name] = own
    return found


def settings_from_config(config: Mapping[str, Any]) -> Settings:
    """Read the settings of a recording, nested or, from before they were, flat; what is missing has its default."""
    return Settings().with_values(**{name: value for name, value in flat_config(config).items() if name in PLACES})


def prepared_by_batch(settings: Settings) -> bool:
    """Whether images stay uint8 and are prepared on the device: all that a ViT gets, and what is drawn anew."""
    data = settings.data
    return bool(settings.network.setup or data.resize or data.flip or data.crop_padding)


def merges(settings: Settings) -> bool:
    """Whether networks have token merging, be it at ratio 0: all ViTs, and what varies the compression."""
    return bool(settings.network.setup) or settings.compressions != (0.0,)
