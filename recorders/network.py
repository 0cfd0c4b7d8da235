"""The networks of the studies, by their settings."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable

import torch
from torch import nn

from recorders.attachment import merge_tokens
from recorders.contract import InputError
from recorders.data import DataSet
from recorders.mlp import mlp
from recorders.plan import Run
from recorders.seeding import with_seeded_weights
from recorders.settings import Settings, merges, setup_numbers
from recorders.token_merge import TokenMerge
from recorders.vit import VisionTransformer

ModelFactory = Callable[[], nn.Module]


def default_model(data: DataSet, settings: Settings) -> ModelFactory:
    """Return the factory of the study's network: an MLP, or a ViT where there is a ``setup``.

    Parameters
    ----------
    data : DataSet
        Its images and classes.
    settings : Settings
        The study.

    Returns
    -------
    callable
        Draws initial weights from torch's global generator.

    Raises
    ------
    InputError
        A ViT for images that are no squares; when called, one whose patches do not tile them or whose heads do not
        share out the embedding.
    """
    if not settings.setup:
        return lambda: mlp(data.image_shape, data.classes, settings.hidden)
    embedding, heads = setup_numbers(settings.setup)
    channels, height, width = data.image_shape
    if height != width and not settings.resize:
        raise InputError(f"a ViT takes square images, {data.name} has {width}x{height}: give --resize")
    return lambda: VisionTransformer(
        settings.resize or height,
        channels,
        data.classes,
        patch=settings.patch,
        depth=settings.depth,
        embedding=embedding,
        heads=heads,
        mlp_ratio=settings.mlp_ratio,
    )


def check_factory(make: ModelFactory, *, pickled: bool) -> None:
    """Refuse a factory that a study cannot call or send to its workers, before anything is written.

    Parameters
    ----------
    make : callable
        Somebody's own.
    pickled : bool
        Whether it goes to worker processes.

    Raises
    ------
    InputError
        It has no name of its own, takes arguments, or cannot be pickled.
    """
    name = getattr(make, "__qualname__", None)
    if name is None:  # a recording says by this name which network it is of
        raise InputError(f"model must be a function or a class, got {make!r}: wrap it in a function of its own name")
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise InputError(
            f"model {name!r} must be callable without arguments ({error}): wrap it in a function"
        ) from error
    except ValueError:  # a signature that Python cannot tell
        pass
    if not pickled:
        return
    try:
        pickle.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"model {name!r} cannot be sent to worker processes: define it with `def` at the top level of a module"
        ) from error


def network_of(run: Run, make: ModelFactory, settings: Settings) -> nn.Module:
    """Make the freshly initialised network of a run, with its token merging.

    Parameters
    ----------
    run : Run
        Its seed and compression.
    make : callable
        Makes the network; initial weights are a function of the seed.
    settings : Settings
        The study.

    Returns
    -------
    nn.Module
        Where the study varies compression, merging is there at ratio 0 too: the identity.
    """
    network = with_seeded_weights(run.seed, make)
    if merges(settings):
        merge = TokenMerge(
            run.compression,
            metric=settings.merge_metric,
            proportional_attention=settings.proportional_attention,
            seed=run.seed,
        )
        merge_tokens(network, merge)
    return network


def merging(network: nn.Module) -> TokenMerge | None:
    """Find the token merging of a network."""
    return next((module for module in network.modules() if isinstance(module, TokenMerge)), None)


_SIZES = 8  # merged tokens of this many sources or more share a bin


def merge_scalars(merge: TokenMerge) -> dict[str, torch.Tensor]:
    """Describe the merging of the last pass: tokens kept and tokens by size, as means per image.

    Returns
    -------
    dict of str to Tensor
        ``tokens_kept``, the class token included, and ``merged_size_1`` (left alone) to ``merged_size_8`` (standing for
        8 source tokens or more), each of shape (1,).
    """
    assert merge.sizes is not None
    counts = merge.size_histogram(_SIZES)
    kept = counts.new_tensor([merge.sizes.shape[1]])
    return {"tokens_kept": kept} | {f"merged_size_{i}": count[None] for i, count in enumerate(counts, start=1)}
