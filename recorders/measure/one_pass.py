"""The compiled pass over gradients, weights and masks. Imports numba: `fused_sums` imports it where that is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import carray, types
from numba.core.extending import intrinsic

_SIGNATURE = "float64[:,::1](int64[::1], int64[::1], int64[::1], int64[::1])"
# Sums may be reordered; nothing else may, NaN least of all.
_REORDERED = {"reassoc", "nsz", "contract"}


def _pointer_to(kind: Any) -> Any:
    @intrinsic
    def pointer(_: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(address), generate

    return pointer


_floats, _booleans = _pointer_to(types.float32), _pointer_to(types.uint8)


def _sums_of_all(gradients: Any, weights: Any, masks: Any, sizes: Any) -> Any:
    """Add up tensors that are given by their addresses; 0 is the address of no mask."""
    sums = np.empty((5, sizes.size))
    for k in range(sizes.size):
        g, w = carray(_floats(gradients[k]), sizes[k]), carray(_floats(weights[k]), sizes[k])
        every = squares = moduli = weight_squares = weight_moduli = 0.0
        if masks[k] != 0:
            active = carray(_booleans(masks[k]), sizes[k])
            for i in range(sizes[k]):
                on: Any = active[i] != 0
                x: Any = np.float64(g[i])  # `float` would leave it in float32
                y: Any = np.float64(w[i])
                every += x * x
                x = x if on else 0.0
                y = y if on else 0.0
                squares += x * x
                moduli += abs(x)
                weight_squares += y * y
                weight_moduli += abs(y)
        else:
            for i in range(sizes[k]):
                x, y = np.float64(g[i]), np.float64(w[i])
                squares += x * x
                moduli += abs(x)
                weight_squares += y * y
                weight_moduli += abs(y)
            every = squares
        sums[0, k], sums[1, k], sums[2, k] = np.sqrt(squares), np.sqrt(every), moduli
        sums[3, k], sums[4, k] = np.sqrt(weight_squares), weight_moduli
    return sums


def compiled() -> Callable[[Any, Any, Any, Any], Any]:
    """Compile it, or load what an earlier process compiled, where there is a folder to keep that."""
    for kept in (True, False):
        try:
            run: Callable[[Any, Any, Any, Any], Any] = numba.njit(
                _SIGNATURE, fastmath=_REORDERED, nogil=True, cache=kept
            )(_sums_of_all)
            return run
        except RuntimeError as error:
            if not kept or "cache" not in str(error):
                raise
    raise AssertionError
