"""What can be pruned in a network, and which layers are hidden layers."""

from __future__ import annotations

from torch import nn

from recorders.contract import InputError


def prunable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Find every weight with more than one dimension, except tokens and position embeddings."""
    found: dict[str, nn.Parameter] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or not _is_weight(model, name, parameter):
            continue
        found[name.removesuffix("_orig")] = parameter
    if not found:
        raise InputError("the model has no prunable weight (a trainable parameter with more than one dimension)")
    return found


def _is_weight(model: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    # Class tokens and position embeddings are stored (1, n, dim), directly on the model: no layer multiplies by them.
    leading_one = parameter.ndim >= 3 and parameter.shape[0] == 1
    owner = model.get_submodule(name.rpartition(".")[0])
    multiplies = isinstance(owner, (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.MultiheadAttention))
    return parameter.ndim > 1 and (multiplies or not leading_one)


def hidden_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Find the modules whose outputs are the hidden activations."""
    owners = list(dict.fromkeys(name.rpartition(".")[0] for name in prunable_parameters(model)))
    return {name: _with_activation(model, name) for name in owners[:-1]}


def _with_activation(model: nn.Module, name: str) -> nn.Module:
    parent_name, _, child = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    if isinstance(parent, nn.Sequential):
        names = [n for n, _ in parent.named_children()]
        following = names[names.index(child) + 1 :] if child in names else []
        if following:
            candidate = parent.get_submodule(following[0])
            if type(candidate).__module__ == nn.ReLU.__module__ and not isinstance(candidate, nn.MultiheadAttention):
                return candidate
    return model.get_submodule(name)
