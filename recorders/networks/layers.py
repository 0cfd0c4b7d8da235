"""What can be pruned in a network, and which layers are hidden layers."""

from __future__ import annotations

import re

from torch import nn

from recorders.contract import InputError, owning_layer

# Class tokens and position embeddings are stored (1, n, dim): no layer multiplies by them.
_TOKEN = re.compile(r"token|(^|_)(pos|embed)", re.IGNORECASE)
_MULTIPLYING = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.MultiheadAttention)


def prunable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Find every weight with more than one dimension, except tokens and position embeddings."""
    found: dict[str, nn.Parameter] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and _is_weight(model, name, parameter):
            found[weight_name(model, name)] = parameter
    if not found:
        raise InputError("the model has no prunable weight (a trainable parameter with more than one dimension)")
    return found


def weight_name(model: nn.Module, name: str) -> str:
    """Name a parameter as if `torch.nn.utils.prune` had not renamed it."""
    path, dot, attribute = name.rpartition(".")
    plain, owner = attribute.removesuffix("_orig"), model.get_submodule(path)
    pruned = plain != attribute and f"{plain}_mask" in owner._buffers and plain not in owner._parameters
    return f"{path}{dot}{plain}" if pruned else name


def hidden_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Find the modules whose outputs are the hidden activations."""
    owners = list(dict.fromkeys(map(owning_layer, prunable_parameters(model))))
    return {name: _with_activation(model, name) for name in owners[:-1]}


def _is_weight(model: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    leading_one = parameter.ndim >= 3 and parameter.shape[0] == 1
    multiplies = isinstance(model.get_submodule(owning_layer(name)), _MULTIPLYING)
    return parameter.ndim > 1 and (multiplies or not (leading_one and _TOKEN.search(name.rpartition(".")[2])))


def _with_activation(model: nn.Module, name: str) -> nn.Module:
    parent_name, _, child = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    if isinstance(parent, nn.Sequential):
        names = list(parent._modules)  # `named_children` leaves out the second place of a shared activation
        following = names[names.index(child) + 1 :] if child in names else []
        if following:
            candidate = parent.get_submodule(following[0])
            if type(candidate).__module__ == nn.ReLU.__module__ and not isinstance(candidate, nn.MultiheadAttention):
                return candidate
    if isinstance(parent, nn.MultiheadAttention):  # reads its projection's weight and never calls it
        return parent
    return model.get_submodule(name)
