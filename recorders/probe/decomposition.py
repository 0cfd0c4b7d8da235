"""The neural burden of a mask update: fit, compensation and covariance (the study's eq. 5; docs/burden.md).

With target x, old output f_s, new output f_{s+1}, residual e = x − f_s and change δ = f_s − f_{s+1}:

    ‖x − f_{s+1}‖² = ‖e‖² (fit) + ‖δ‖² (compensation) + 2⟨e, δ⟩ (covariance)

The change is what pruned weights took away less what returned weights gave back: δ = lost − regained. Which part is
whose depends on the order, since the network is not linear: pruning first goes through the network that keeps only what
both masks keep, returning first through the one that has what either mask has. The mean of both is each side's Shapley
value.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Outputs:
    """Outputs of one network under the masks around an update, float64, shape (sample, output).

    Attributes
    ----------
    old, new : Tensor
        Under the mask before and after the update.
    both, either : Tensor
        Under what both masks keep (m_s ∧ m_{s+1}) and what at least one of them keeps (m_s ∨ m_{s+1}).
    """

    old: torch.Tensor
    new: torch.Tensor
    both: torch.Tensor
    either: torch.Tensor


def terms(outputs: Outputs, target: torch.Tensor) -> torch.Tensor:
    """Split the error of the new output.

    Parameters
    ----------
    outputs : Outputs
        Only `old` and `new` matter here: the terms do not depend on the order.
    target : Tensor, shape (sample, output)
        What the output should be.

    Returns
    -------
    Tensor of float64, shape (5,)
        In the order of `recorders.contract.TERMS`. Squared norms and inner products are sums over outputs and means
        over samples, so they do not grow with the batch. ``new_fit`` is computed from its own definition, not as the
        sum of the others.
        ``burden`` = compensation / (fit + compensation), 0 where both are.
    """
    return _terms(target - outputs.old, outputs.old - outputs.new, target - outputs.new)


def parts(outputs: Outputs) -> torch.Tensor:
    """Measure what was lost and what was regained, in each order.

    Parameters
    ----------
    outputs : Outputs
        Of the network, or of one layer's pre-activations.

    Returns
    -------
    Tensor of float64, shape (3, 3)
        Rows in the order of `PARTS`, columns of `ORDERS`. ``lost`` and ``regained`` are mean squared norms,
        ``recovered`` = 1 − ‖lost − regained‖² / ‖lost‖²: 1 where all that was lost came back, 0 where nothing did,
        negative where the change is larger than the loss. Where nothing was lost it is 0 if nothing came back either,
        else NaN.
    """
    pairs = [
        (outputs.old - outputs.both, outputs.new - outputs.both),
        (outputs.either - outputs.new, outputs.either - outputs.old),
    ]
    pairs.append(((pairs[0][0] + pairs[1][0]) / 2, (pairs[0][1] + pairs[1][1]) / 2))
    change = _square(outputs.old - outputs.new)
    return torch.stack([_parts(_square(lost), _square(regained), change) for lost, regained in pairs], dim=1)


def layer_split(lost: torch.Tensor, regained: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Decompose a linear layer's output at given inputs; the target is what all its weights give.

    Parameters
    ----------
    lost, regained, rest : Tensor, shape (sample, unit)
        What comes from weights that only the old mask, only the new one, or neither keeps.

    Returns
    -------
    Tensor of float64, shape (8,)
        `TERMS`, then `PARTS`; here they do not depend on the order.
    """
    change = lost - regained
    found = _terms(regained + rest, change, lost + rest)
    return torch.cat([found, _parts(_square(lost), _square(regained), found[1])])


def _terms(residual: torch.Tensor, change: torch.Tensor, new_residual: torch.Tensor) -> torch.Tensor:
    fit, compensation = _square(residual), _square(change)
    total = fit + compensation
    burden = torch.where(total > 0, compensation / total, torch.zeros_like(total))
    return torch.stack([fit, compensation, 2 * _inner(residual, change), _square(new_residual), burden])


def _parts(lost: torch.Tensor, regained: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    idle = torch.where(regained == 0, torch.zeros_like(lost), torch.full_like(lost, torch.nan))
    return torch.stack([lost, regained, torch.where(lost > 0, 1 - change / lost, idle)])


def _inner(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.dot(left.reshape(-1), right.reshape(-1)) / len(left)


def _square(vector: torch.Tensor) -> torch.Tensor:
    return _inner(vector, vector)
