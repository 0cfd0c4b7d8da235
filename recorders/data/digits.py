"""The embedded data set: 1 797 real 8x8 scans of handwritten digits, shipped with scikit-learn."""

from __future__ import annotations

import torch

from recorders.data.dataset import DataSet

_HELD_OUT = 360


def digits() -> DataSet:
    """Load scikit-learn's digits (UCI Optical Recognition of Handwritten Digits, test part; Alpaydin & Kaynak 1998).

    Returns
    -------
    DataSet
        1 437 training and 360 held-out images, (1, 8, 8), values 0 to 16; a fixed stratified split.
    """
    from sklearn.datasets import load_digits  # takes 1.5 s to import
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=_HELD_OUT, stratify=labels, random_state=0
    )

    def pixels(flat: object) -> torch.Tensor:
        return torch.as_tensor(flat).to(torch.uint8).view(-1, 1, 8, 8)

    return DataSet(
        "digits", pixels(train), torch.as_tensor(train_labels), pixels(test), torch.as_tensor(test_labels), classes=10
    )
