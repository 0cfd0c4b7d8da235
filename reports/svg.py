"""SVG files as parts of one HTML page."""

from __future__ import annotations

import re
from html import escape


def inline(svg: str, name: str, title: str, description: str) -> str:
    """Make an SVG file fit to stand in HTML: no prolog, its own ids and styles, a title and a description.

    Parameters
    ----------
    svg : str
        The file, as matplotlib writes it.
    name : str
        Prefix of all ids; unique in the page.
    title, description : str
        What screen readers say.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    element = svg[svg.index("<svg") :]
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    element = element.replace("url(#", f"url(#{name}-")
    # A bare `*` would style the whole page.
    element = element.replace("*{", f"#{name} *{{")
    root, rest = element.split(">", 1)
    return (
        f'{root} id="{name}" role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{rest}'
    )
