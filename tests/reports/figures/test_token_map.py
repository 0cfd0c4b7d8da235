from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from recorders.contract import InputError
from reports import token_map
from reports.figures.token_map import _outline

# Patches of a 2 x 4 grid: 0 and 5 (a patch of A and one of B, apart) share token 3, 2 and 3 (neighbours) share token 4.
SOURCE = np.array([[0, 3, 2, 4, 4, 1, 3, 5, 6]])


def picture(pixels: int = 8) -> npt.NDArray[np.uint8]:
    return np.full((1, 1, pixels, 2 * pixels), 200, dtype=np.uint8)


def tint(figure: object, row: int) -> npt.NDArray[np.float64]:
    return np.asarray(figure.axes[row].images[-1].get_array())


def test_patches_of_one_token_share_a_colour_and_the_others_have_none():
    drawn = token_map(picture(), {"once": SOURCE}).figure
    found = tint(drawn, 1).reshape(8, 4)
    assert (found[0] == found[5]).all()
    assert (found[2] == found[3]).all()
    assert not (found[0, :3] == found[2, :3]).all()
    assert (found[[0, 2], 3] > 0).all()
    assert (found[[1, 4, 6, 7]] == 0).all()


def test_a_token_keeps_its_colour_down_the_column():
    # The second map merges another pair first (token numbers differ), then the same ones.
    other = np.array([[0, 4, 2, 5, 5, 3, 4, 3, 6]])
    drawn = token_map(picture(), {"first": SOURCE, "second": other}).figure
    first, second = (tint(drawn, row).reshape(8, 4) for row in (1, 2))
    assert (first[[0, 2, 3, 5]] == second[[0, 2, 3, 5]]).all()


def test_outlines_run_between_inside_and_outside():
    inside = np.array([[True, True, False], [False, False, False]])
    edges = {tuple(sorted(edge)) for edge in _outline(inside, 10, 5)}
    assert edges == {
        ((0, 0), (0, 5)),
        ((20, 0), (20, 5)),
        ((0, 0), (10, 0)),
        ((10, 0), (20, 0)),
        ((0, 5), (10, 5)),
        ((10, 5), (20, 5)),
    }


def test_real_digits_render_to_every_format(tmp_path):
    images = load_digits().images[:3, None]
    untouched = np.tile(np.arange(17), (3, 1))
    sources = untouched.copy()
    sources[:, 1] = 2  # the first patch joins the second
    maps = {"ρ = 0.1": sources, "none": untouched}
    drawn = token_map(images, maps)
    saved = drawn.save_all(tmp_path)
    assert {path.name for path in saved} == {f"token-map.{kind}" for kind in ("pdf", "svg", "png", "csv", "txt")}
    pixels = np.asarray(Image.open(BytesIO(drawn.render("png"))).convert("RGB")).astype(int)
    assert pixels.shape[0] == pytest.approx(pixels.shape[1], rel=0.1)  # 3 rows, 3 columns
    coloured = (np.ptp(pixels, axis=2) > 60).sum(axis=1)
    third = len(pixels) // 3
    assert coloured[:third].sum() == 0
    assert coloured[third : 2 * third].sum() > 1000
    assert coloured[2 * third :].sum() == 0
    assert drawn.render("svg") == token_map(images, maps).render("svg")


def test_numbers_and_words():
    drawn = token_map(picture(), {"once": SOURCE})
    assert drawn.data.shape == (8, 5)
    assert drawn.data["token"].tolist() == SOURCE[0, 1:].tolist()
    assert drawn.data[["row", "column"]].iloc[5].tolist() == [1, 1]
    assert drawn.description == "once: 8 patches become 6 tokens, of which the largest holds 2 patches."
    assert drawn.caption.startswith("Token maps. One image; the top row shows it.")


def test_registers_are_left_out():
    with_registers = np.concatenate([[[0, 1, 2]], SOURCE[:, 1:] + 2], axis=1)
    drawn = token_map(picture(), {"once": with_registers}, held_out=3)
    assert (tint(drawn.figure, 1) == tint(token_map(picture(), {"once": SOURCE}).figure, 1)).all()


@pytest.mark.parametrize(
    ("images", "sources", "message"),
    [
        (picture()[0], {"a": SOURCE}, r"shape \(image, 1 or 3, height, width\), got \(1, 8, 16\)"),
        (np.zeros((1, 2, 8, 16)), {"a": SOURCE}, r"got \(1, 2, 8, 16\)"),
        (np.zeros((0, 1, 8, 16)), {"a": SOURCE}, r"got \(0, 1, 8, 16\)"),
        (np.zeros((11, 1, 8, 16)), {"a": SOURCE}, "11 images do not fit a page: choose at most 10"),
        (picture(), {}, "no source map to draw"),
        (picture(), {"a": SOURCE[0]}, r"source map 'a' has shape \(9,\)"),
        (picture(), {"a": SOURCE.astype(float)}, "type float64: it must be integers"),
        (np.concatenate([picture()] * 2), {"a": SOURCE}, r"it must be integers of shape \(2, tokens\)"),
        (picture(), {"a": SOURCE[:, 1:]}, "7 patches of source map 'a' do not tile images of 16x8: check held_out"),
        (picture(), {"a": SOURCE[:, :1]}, "0 patches of source map 'a' do not tile"),
    ],
)
def test_bad_input(images, sources, message):
    with pytest.raises(InputError, match=message):
        token_map(images, sources)
