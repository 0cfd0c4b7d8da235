from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from burden_analysis import compare_sparsities, compare_strategies
from reports import figure2, write_report
from reports.drawing.style import contrast
from reports.figures.fig2.figure import figure2_pages
from tests.reports.synthetic_study import build

COMMAND = "burden report 'a & b.zarr' --out results/"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Checks nesting while it collects elements, ids and the text of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def written(broken_study: xr.Dataset, tmp_path_factory) -> Path:
    comparisons = [compare_strategies(broken_study), compare_sparsities(broken_study, "gradient_norm")]
    return write_report(broken_study, comparisons, tmp_path_factory.mktemp("out") / "new", command=COMMAND)


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


def test_only_the_report_and_its_twin_are_left(written):
    assert sorted(p.name for p in written.parent.iterdir()) == ["report.html", "report.json"]


def test_nothing_is_fetched_or_run(page):
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "@import" not in "".join(page.text)
    assert re.findall(r"url\((?!#)", "".join(page.text)) == []


def test_ids_are_unique_and_references_resolve(page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
        for value in attributes.values():
            for name in re.findall(r"url\(#([^)]+)\)", value or ""):
                assert name in ids
        if (link := attributes.get("xlink:href")) is not None:
            assert link[1:] in ids


def test_figures_have_names_and_descriptions(page):
    figures = [a for tag, a in page.elements if tag == "svg"]
    assert figures
    for attributes in figures:
        assert attributes["role"] == "img"
        assert len(attributes["aria-labelledby"].split()) == 2
    assert any("ends at: iterative" in text for text in page.text)


def test_tables_are_tables(page):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") >= 7
    assert {a.get("scope") for tag, a in page.elements if tag == "th"} == {"col", "row"}
    headings = [tag for tag in tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1


def test_verdicts_come_first_and_missing_runs_are_named(page):
    text = " ".join(" ".join(page.text).split())
    order = (
        "Verdicts",
        "Outcome of every",
        "Figure 1.",
        "Complete runs, of those",
        "Every test:",
        "Final held-out",
        COMMAND,
    )
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    for run in ("optimal-0.7-1", "iterative-0.8-2"):
        assert run in text[text.index("runs missing") :]
    assert "4 of 5" in text
    assert "40 runs (38 complete, 1 diverged, 1 failed): 3 strategies, 3 sparsities, 5 seeds." in text
    assert "smallest attainable p" in text
    assert re.search(r"optimal / iterative sparsity 0.7 .* 1\.\d+ \[1\.\d+, 1\.\d+\]", text)
    assert "x86_64 <2 cores>" in text


def test_accuracy_is_the_mean_of_the_last_values(page, broken_study):
    chosen = (broken_study["strategy"] == "random") & (broken_study["sparsity"] == 0.7)
    last = broken_study["accuracy"].to_numpy()[chosen.to_numpy()][:, -1]
    assert f"{last.mean():.4f} ± {last.std(ddof=1):.4f} (n = 5)" in page.text


def strict(constant: str) -> None:
    raise AssertionError(constant)


def test_twin_is_strict_json_and_agrees(written, broken_study):
    twin = json.loads((written.parent / "report.json").read_text(encoding="utf-8"), parse_constant=strict)
    assert twin["command"] == COMMAND
    assert len(twin["runs"]) == broken_study.sizes["run"]
    assert [c["outcome"] for c in twin["comparisons"]]
    page = " ".join(written.read_text(encoding="utf-8").split())
    assert twin["figures"][0]["caption"].split(":")[0] in page
    assert twin["recordings"]["fig2"]["provenance"]["git"]["commit"] == "f5fc1d9"
    lost = next(run for run in twin["runs"] if run["run_id"] == "iterative-0.8-2")
    assert lost["status"] == "failed"


def palettes(css: str) -> list[dict[str, str]]:
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*)\}", css)]


def test_colours_have_contrast_in_light_dark_and_print(page):
    found = palettes("".join(page.text))
    assert len(found) == 3
    for colours in found:
        for name in ("ink", "quiet", "link", "supported", "contradicted", "open"):
            assert contrast(colours[name], colours["paper"]) >= 4.5
        assert contrast(colours["ink"], colours["band"]) >= 4.5


def test_same_study_gives_the_same_report(written, broken_study, tmp_path):
    comparisons = [compare_strategies(broken_study), compare_sparsities(broken_study, "gradient_norm")]
    again = write_report(broken_study, comparisons, tmp_path, command=COMMAND)
    assert again.read_bytes() == written.read_bytes()


def test_two_figures_and_no_comparison(tmp_path):
    small = build(seeds=2, sparsities=(0.9,), records=6)
    page = Page(
        write_report(small, [], tmp_path, command="x", figures=[figure2(small)] * 2).read_text(encoding="utf-8")
    )
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert "No comparison was made." in page.text
    assert "No run is missing." in page.text


def test_a_study_that_has_only_been_planned(tmp_path, study):
    planned = study.isel(record=slice(0)).assign(status=("run", np.full(study.sizes["run"], "planned", object)))
    text = write_report(planned, [], tmp_path, command="x").read_text(encoding="utf-8")
    assert "45 runs (0 complete, 45 planned)" in text
    assert "No finished run to show." in text


def test_many_sparsities_take_more_figures():
    wide = build(strategies=("iterative",), sparsities=tuple(np.linspace(0.1, 0.8, 8)), seeds=1, records=4)
    assert [len(figure.data["sparsity"].unique()) for figure in figure2_pages(wide)] == [6, 2]


def test_a_study_of_other_strategies_is_shown():
    own = build(strategies=("mine", "yours"), sparsities=(0.5,), seeds=2, records=4)
    (figure,) = figure2_pages(own)
    assert set(figure.data["strategy"]) == {"mine", "yours"}


def test_an_interrupted_write_leaves_nothing(tmp_path, study, monkeypatch):
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_report(study, [], tmp_path, command="x", figures=[])
    assert list(tmp_path.iterdir()) == []


def test_no_control_character_stands_on_a_page_or_in_a_file(tmp_path: Path) -> None:
    study = build()
    names = {"iterative": "=a\x1b[2J$x^$", "optimal": "@b\u202e\x07", "random": "c\x9b$\\frac{"}
    study["strategy"] = study["strategy"].dims, [names.get(str(name), name) for name in study["strategy"].values]
    comparison = compare_strategies(study, order=tuple(names.values()))
    write_report(study, [comparison], tmp_path, command="burden \x1b]0;x\x07")
    figure2(study, order=list(names.values())).save_all(tmp_path)
    for name in ("report.html", "report.json", "figure2.csv", "figure2.svg", "figure2.txt"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        seen = {mark for mark in text if (mark < " " and mark != "\n") or "\x7f" <= mark <= "\x9f"}
        assert seen == set(), name
    assert "\\u001b[2J$x^$" in (tmp_path / "report.html").read_text(encoding="utf-8")
    rows = (tmp_path / "figure2.csv").read_text(encoding="utf-8").splitlines()
    assert not [cell for row in rows for cell in row.split(",") if cell.strip('"').startswith(("=", "@"))]
