"""The networks of the studies, by their settings."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable

from torch import nn

from recorders.contract import InputError
from recorders.data import DataSet
from recorders.networks.merge_tokens import merge_tokens
from recorders.networks.mlp import mlp
from recorders.networks.token_merge import TokenMerge
from recorders.networks.vit import VisionTransformer
from recorders.seeding import with_seeded_weights
from recorders.settings.runs import Run
from recorders.settings.settings import Settings, merges, setup_numbers

ModelFactory = Callable[[], nn.Module]


def default_model(data: DataSet, settings: Settings) -> ModelFactory:
    """Return the factory of the study's network: an MLP, or a ViT where there is a ``setup``."""
    network, resize = settings.network, settings.data.resize
    if not network.setup:
        return lambda: mlp(data.image_shape, data.classes, network.hidden)
    embedding, heads = setup_numbers(network.setup)
    channels, height, width = data.image_shape
    if height != width and not resize:
        raise InputError(f"a ViT takes square images, {data.name} has {width}x{height}: give --resize")
    return lambda: VisionTransformer(
        resize or height,
        channels,
        data.classes,
        patch=network.patch,
        depth=network.depth,
        embedding=embedding,
        heads=heads,
        mlp_ratio=network.mlp_ratio,
    )


def check_factory(make: ModelFactory, *, pickled: bool) -> None:
    """Refuse a factory that a study cannot call or send to its workers, before anything is written."""
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
    """Make the freshly initialised network of a run, with its token merging."""
    network = with_seeded_weights(run.seed, make)
    if merges(settings):
        merge = TokenMerge(
            run.compression,
            metric=settings.network.merge_metric,
            proportional_attention=settings.network.proportional_attention,
            seed=run.seed,
        )
        merge_tokens(network, merge)
    return network
