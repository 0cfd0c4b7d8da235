"""YAML as plain values, refused where it would be something else: huge, endless, ambiguous or an object of Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from recorders.contract import shortened

_MOST = 10_000  # values, after aliases are written out


def yaml_value(text: str) -> Any:
    """Read YAML.

    Parameters
    ----------
    text : str
        One document.

    Returns
    -------
    object
        None, numbers, text, lists and mappings.

    Raises
    ------
    ValueError
        The text is not YAML, or not of this kind; the message is one line.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _size(node, {}, ())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:  # PyYAML's, of a tag's value
        raise ValueError("a value is not what its tag says") from error


def _size(node: yaml.Node, known: dict[int, int], around: tuple[int, ...]) -> int:
    """Count the values of a node, those of aliases as often as they are named, without writing them out."""
    if id(node) in around:
        raise ValueError("it holds itself, by an alias")
    if id(node) in known:
        return known[id(node)]
    inside = (*around, id(node))
    parts = [node.value] if isinstance(node, yaml.ScalarNode) else node.value
    if isinstance(node, yaml.MappingNode):
        names = Counter(key.value for key, _ in parts if isinstance(key, yaml.ScalarNode))
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"{shortened(twice[0])} is given twice")
        parts = [part for pair in parts for part in pair]
    size = 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(_size(part, known, inside) for part in parts)
    if size > _MOST:
        raise ValueError(f"its aliases make more than {_MOST} values of it")
    known[id(node)] = size
    return size
