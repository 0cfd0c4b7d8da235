"""Claims and their robustness in the report: blocks, matrices, links, twin and CSV, also of incomplete studies."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from burden_analysis import Claims, check_claims, compare_strategies, robustness
from burden_analysis.definitions import GRADIENT_MAGNITUDES, WEIGHT_NORMS
from burden_analysis.results.words import number
from reports import write_report
from reports.pages.sensitivity import sensitivity_matrices, sensitivity_table
from tests.reports.pages.test_page import Page, strict
from tests.reports.synthetic_study import build


def report(dataset: xr.Dataset, folder: Path, claims: Claims, comparisons=()) -> tuple[str, dict, Page]:
    path = write_report(dataset, comparisons, folder, command="x", claims=claims, figures=[], burden=[])
    twin = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=strict)
    text = path.read_text(encoding="utf-8")
    return text, twin, Page(text)


def check_references(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids


def prose(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def section(text: str, name: str) -> str:
    start = text.index(f'<section aria-labelledby="{name}">')
    return text[start : text.index("</section>", start)]


@pytest.fixture(scope="module")
def claims(study: xr.Dataset) -> Claims:
    return check_claims(study)


@pytest.fixture(scope="module")
def written(study: xr.Dataset, claims: Claims, tmp_path_factory) -> tuple[str, dict, Page]:
    comparisons = [compare_strategies(study, name) for name in ("gradient_norm", "gradient_mean_abs_mean")]
    return report(study, tmp_path_factory.mktemp("claims"), claims, comparisons)


def test_claims_come_first_each_with_its_outcome_in_words(written, claims):
    text, _, page = written
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert headings == [
        "Claims",
        "Verdicts",
        "Figures",
        "Burden",
        "Design",
        "Every test",
        "Sensitivity",
        "Runs",
        "Provenance",
    ]
    blocks = section(text, "claims").split("<article ")[1:]
    assert len(blocks) == 3
    for claim, block in zip(claims.claims, blocks, strict=True):
        assert block.startswith(f'class="verdict {claim.outcome}" id="{claim.name}"')
        assert f'<span class="badge">{claim.outcome.words}</span>' in block
        shown = prose(block)
        assert claim.summary in shown
        assert claim.tested in shown
        assert "about the published tables" in shown if claim.name == "C3" else "published" not in shown
    check_references(page)


def test_evidence_of_a_claim_is_where_its_link_leads(written):
    text, _, _ = written
    links = dict(re.findall(r'<a href="#([^"]+)">([^<]+)</a>', text))
    # The second comparison is C1's own: its tests are not printed twice.
    assert links == {
        "tests-table-2": "every test of C1",
        "sensitivity-C1": "C1 under every definition",
        "tests-C2": "every test of C2",
        "sensitivity-C2": "C2 under every definition",
        "tests-C3": "every test of C3",
    }
    assert 'id="tests-C1"' not in text
    place = text.index('<caption id="tests-table-2">')
    assert "Mean absolute gradient per active weight".lower() in text[place : place + 200].lower()
    assert "optimal grows more than iterative" in text[text.index('id="tests-C2"') :]


def test_c1_has_its_own_tests_where_no_comparison_shows_them(study, claims, tmp_path):
    text, _, page = report(study, tmp_path, claims, [compare_strategies(study, "gradient_mean_abs_mean", scale="raw")])
    assert 'href="#tests-C1"' in text
    assert "Every test of C1, gradient_mean_abs_mean" in text
    check_references(page)


@pytest.fixture(scope="module")
def noisy() -> xr.Dataset:
    """Definitions disagree, and seeds decide."""
    dataset, rng = build(records=20), np.random.default_rng(1)
    for name in GRADIENT_MAGNITUDES + WEIGHT_NORMS:
        if name in dataset:
            drift = rng.normal(size=(dataset.sizes["run"], 1)) * np.linspace(-1, 1, dataset.sizes["record"])
            dataset[name] = dataset[name] * xr.DataArray(np.exp(drift), dims=("run", "record"))
    return dataset


@pytest.mark.parametrize("name", ["C1", "C2"])
def test_every_cell_of_a_matrix_is_that_of_the_robustness(noisy, name):
    found = robustness(noisy, name)
    matrices = sensitivity_matrices(check_claims(noisy, published=False))
    (matrix,) = [m for m in matrices if m["id"] == f"sensitivity-{name}"]
    p = found.table[found.table["dropped"] == "none"].set_index(["indicator", "window", "scale"])["p"]
    assert p.nunique() > 2
    assert matrix["caption"].startswith(found.verdict)
    places = [(w, s) for w in found.array["window"].to_numpy() for s in found.array["scale"].to_numpy()]
    assert len(matrix["columns"]) == len(places) == len(set(matrix["columns"]))
    assert [row["indicator"] for row in matrix["rows"]] == found.array["indicator"].to_numpy().tolist()
    names = found.array.attrs["flag_meanings"]
    for row in matrix["rows"]:
        for (window, scale), cell in zip(places, row["cells"], strict=True):
            codes = found.array.sel(indicator=row["indicator"], window=window, scale=scale)
            whole = int(codes.sel(dropped="none"))
            assert cell["outcome"] == names[whole]
            assert cell["lines"][0] == f"p = {number(p[row['indicator'], window, scale])}, n = 5"
            changed = int((codes.drop_sel(dropped="none") != whole).sum())
            told = sum(int(count) for count in re.findall(r"in (\d) of 5", cell["lines"][1]))
            assert told == changed
            assert cell["lines"][1].endswith("the same") == (changed == 0)


def test_a_seed_that_decides_is_counted():
    few = build(seeds=2, sparsities=(0.8,), records=12)
    matrix = sensitivity_matrices(check_claims(few, published=False))[0]
    assert matrix["rows"][0]["cells"][0]["outcome"] == "supported"
    assert matrix["rows"][0]["cells"][0]["lines"][1] == "without one seed: undecided in 2 of 2"


def test_the_twin_and_the_csv_hold_every_definition(study, claims, written, tmp_path):
    _, twin, _ = written
    table = sensitivity_table(claims)
    assert len(table) == (4 * 2 * 2 + 3 * 2 * 2) * (1 + 5)
    assert table.columns[0] == "claim"
    for name in ("C1", "C2"):
        expected = robustness(study, name).table
        own = table[table["claim"] == name].drop(columns="claim").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected)
        assert [row["outcome"] for row in twin["sensitivity"][name]["table"]] == expected["outcome"].tolist()
        assert twin["claims"][name]["sentence"] == claims[name].sentence
        assert twin["claims"][name]["evidence"]["headline"]["table"]
    assert twin["claims"]["C3"]["outcome"] == "unsupported"


INCOMPLETE = {
    "no optimal": ({"strategies": ("iterative", "random")}, "C1 C2", "optimal"),
    "no random": ({"strategies": ("iterative", "optimal")}, "C1", "random"),
    "dense only": ({"strategies": ("dense",), "sparsities": (0.0,)}, "C1 C2", "iterative"),
    "one seed": ({"seeds": 1}, "", ""),
    "one sparsity, two seeds": ({"seeds": 2, "sparsities": (0.9,)}, "", ""),
    "optimal only at 0.7": (
        {"absent": [f"optimal-{s}-{seed}" for s in (0.8, 0.9) for seed in range(5)]},
        "",
        "",
    ),
    "all diverged": ({"seeds": 1, "sparsities": (0.9,), "statuses": {"optimal-0.9-0": "diverged"}}, "C1 C2", "optimal"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_what_cannot_be_judged_says_why_in_one_line(case, tmp_path):
    options, unjudged, why = INCOMPLETE[case]
    dataset = build(records=12, **{"seeds": 3, **options} if "absent" not in options else options)
    found = check_claims(dataset, published=False)
    text, twin, page = report(dataset, tmp_path, found)
    check_references(page)
    for name in ("C1", "C2"):
        block = next(b for b in section(text, "claims").split("<article ") if f'id="{name}"' in b)
        if name in unjudged.split():
            assert '<span class="badge">not judged</span>' in block
            assert block.startswith('class="verdict unjudged"')
            assert why in prose(block)
            assert "\n" not in found[name].sentence
            assert "Evidence" not in block
            assert name not in twin["sensitivity"]
        else:
            assert f'href="#sensitivity-{name}"' in block
    assert ("No claim could be judged" in text) == (unjudged == "C1 C2")
    assert twin["claims"]["C3"]["outcome"] == "unjudged"


def test_one_seed_is_not_left_out():
    (first, _) = sensitivity_matrices(check_claims(build(seeds=1, records=12), published=False))
    cells = [cell for row in first["rows"] for cell in row["cells"]]
    assert {len(cell["lines"]) for cell in cells} == {1}
    assert {cell["outcome"] for cell in cells} == {"undecided"}


def test_a_definition_that_the_study_does_not_allow_gives_its_reason(study):
    broken = study.copy()
    broken["weight_mean_abs_mean"] = xr.zeros_like(study["weight_mean_abs_mean"])
    (_, growth) = sensitivity_matrices(check_claims(broken, published=False))
    cell = growth["rows"][-1]["cells"][0]
    assert (growth["rows"][-1]["indicator"], cell["outcome"]) == ("weight_mean_abs_mean", "unjudged")
    assert "log" in cell["lines"][0]


def test_a_study_that_has_only_been_planned(study, tmp_path):
    planned = study.isel(record=slice(0)).assign(status=("run", np.full(study.sizes["run"], "planned", object)))
    found = check_claims(planned, published=False)
    text, twin, _ = report(planned, tmp_path, found)
    assert section(text, "claims").count("not judged</span>") == 3
    assert twin["sensitivity"] == {}
    assert sensitivity_table(found).empty


def test_without_claims_the_page_has_no_such_sections(study, tmp_path):
    text = write_report(study, [], tmp_path, command="x", figures=[]).read_text(encoding="utf-8")
    assert 'id="claims"' not in text
    assert 'id="sensitivity"' not in text
