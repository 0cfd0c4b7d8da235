"""Recomputes every number that README.md and docs/ quote, and holds the pages against it.

``python benchmarks/quoted.py list`` shows every quote with its page, group and command. ``... check`` computes the
quotes of all groups, or of ``--only GROUP ...``, and exits with 1 if a page says otherwise; ``... write`` puts the new
numbers into the pages. A number agrees if it prints the same. Studies are recorded into ``--stores`` unless they are
there. ``quotes/texts.yaml`` holds the texts, with names where numbers stand; the code beside it computes them.
"""

from __future__ import annotations

import argparse
import re
import string
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from quotes.groups import GROUPS

ROOT = Path(__file__).parents[1]
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Quote:
    """A text of a page, with ``{name:format}`` where numbers stand."""

    page: str
    group: str
    text: str

    def parts(self) -> list[tuple[str, str | None, str]]:
        """Literal text, name and format in turn."""
        return [(text, name, spec or "") for text, name, spec, _ in string.Formatter().parse(self.text)]

    def found(self) -> re.Match[str]:
        """Where the page has the text: once, whatever the numbers and the line breaks."""
        pattern = "".join(_loose(text) + ("(.{1,60}?)" if name else "") for text, name, _ in self.parts())
        pattern += r"(?!\d)"  # or a number that ends a sentence would be cut at its point
        matches = list(re.finditer(pattern, (ROOT / self.page).read_text(encoding="utf-8"), re.DOTALL))
        if len(matches) != 1:
            raise SystemExit(f"{self.page} has this text {len(matches)} times, not once: {self.text!r}")
        return matches[0]

    def differences(self, values: Mapping[str, Any]) -> Iterator[tuple[tuple[int, int], str, str, str]]:
        """Place, name, quoted and computed text of every number that differs."""
        match = self.found()
        named = [(name, spec) for _, name, spec in self.parts() if name]
        for k, (name, spec) in enumerate(named, start=1):
            now = printed(values[name], spec)
            if " ".join(match[k].split()) != now:
                yield match.span(k), name, match[k], now


def _loose(text: str) -> str:
    return re.sub(r"(\\\s)+|\s+", r"\\s+", re.escape(text.replace("\n", " ")))


def printed(value: Any, spec: str) -> str:
    """Print a value as the pages do: a true minus, thousands apart, ``e`` as a power of ten."""
    if spec.endswith("t"):  # times a power of ten
        mantissa, _, exponent = f"{value:{spec[:-1]}e}".partition("e")
        return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return format(value, spec).replace("-", "−").replace(",", " ") if spec or not isinstance(value, str) else value


def quotes() -> list[Quote]:
    """All quotes, in the order of the file."""
    content = yaml.safe_load((Path(__file__).parent / "quotes" / "texts.yaml").read_text(encoding="utf-8"))
    return [
        Quote(page, group, text)
        for page, groups in content.items()
        for group, texts in groups.items()
        for text in texts
    ]


def refresh(page: str, changes: list[tuple[tuple[int, int], str]]) -> None:
    """Put new numbers into a page, the last one first."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for (start, end), now in sorted(changes, reverse=True):
        text = text[:start] + now + text[end:]
    (ROOT / page).write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["list", "check", "write"])
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--stores", type=Path, default=ROOT / "results" / "quoted")
    asked = parser.parse_args()
    chosen = [quote for quote in quotes() if quote.group in asked.only]
    for quote in chosen:
        match = quote.found()
        if asked.verb == "list":
            print(f"{quote.page} | {quote.group} | {GROUPS[quote.group].command}\n    {' '.join(match[0].split())}")
    if asked.verb == "list":
        return 0
    changes: dict[str, list[tuple[tuple[int, int], str]]] = {}
    for group in asked.only:
        compute = GROUPS[group].compute
        if compute is None:
            print(f"{group}: not computed here, rerun {GROUPS[group].command}")
            continue
        values = compute(asked.stores)
        for quote in chosen:
            for place, name, quoted, now in quote.differences(values) if quote.group == group else ():
                print(f"{quote.page}: {name} is {now}, quoted as {quoted}: {' '.join(quote.text.split())[:100]}")
                changes.setdefault(quote.page, []).append((place, now))
    if asked.verb == "write":
        for page, found in changes.items():
            refresh(page, found)
    print(f"{sum(map(len, changes.values()))} numbers differ")
    return int(asked.verb == "check" and bool(changes))


if __name__ == "__main__":
    sys.exit(main())
