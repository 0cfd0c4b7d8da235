from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torchvision.models import VisionTransformer

from recorders.contract import InputError
from recorders.measure.activations import Activations
from recorders.networks.layers import hidden_layers, prunable_parameters
from recorders.networks.mlp import mlp


def test_the_mlp_of_the_study() -> None:
    model = mlp((1, 32, 32), 10)
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(model).items()}
    assert shapes == {"hidden1.weight": (300, 1024), "hidden2.weight": (100, 300), "output.weight": (10, 100)}
    assert hidden_layers(model) == {"hidden1": model.relu1, "hidden2": model.relu2}


def test_a_vision_transformer_keeps_tokens_and_positions() -> None:
    model = VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3)
    names = set(prunable_parameters(model))
    assert names == {
        "conv_proj.weight",
        "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
        "encoder.layers.encoder_layer_0.self_attention.out_proj.weight",
        "encoder.layers.encoder_layer_0.mlp.0.weight",
        "encoder.layers.encoder_layer_0.mlp.3.weight",
        "heads.head.weight",
    }


def test_a_convolution_with_one_output_channel_is_prunable() -> None:
    assert list(prunable_parameters(nn.Conv2d(3, 1, 3))) == ["weight"]


def test_names_under_torch_prune_are_those_of_the_dense_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    assert set(prunable_parameters(model)) == {"0.weight", "2.weight"}


def test_frozen_weights_are_left_out_and_nothing_prunable_is_an_error() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    model[0].weight.requires_grad_(False)
    assert list(prunable_parameters(model)) == ["1.weight"]
    with pytest.raises(InputError, match="no prunable weight"):
        prunable_parameters(nn.BatchNorm1d(3))


def test_activations_are_measured_after_the_nonlinearity_in_training_mode_only() -> None:
    model = mlp((1, 2, 2), 3, hidden=(5,))
    caught = Activations(model)
    x = torch.randn(7, 1, 2, 2)
    hidden = torch.relu(x.flatten(1) @ model.hidden1.weight.T + model.hidden1.bias)
    assert torch.isnan(caught.take(x)).all()
    model(x)
    torch.testing.assert_close(caught.take(x), hidden.square().mean().reshape(1))
    model.eval()
    model(x)
    assert torch.isnan(caught.take(x)).all()
    caught.close()
    model.train()
    model(x)
    assert torch.isnan(caught.take(x)).all()
