"""Tells what in Python files a Python 3.8 cannot parse, or has not: one line each, `file:line what`.

    python check_python_38.py FILES     # JSON: a file's text by its name

What a variable holds is not known here: of methods only those with a name of their own are found.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Iterator

GENERIC_SINCE_39 = {"dict", "frozenset", "list", "set", "tuple", "type"}
METHODS = {"removeprefix": "3.9", "removesuffix": "3.9", "bit_count": "3.10", "is_relative_to": "3.9"}
FUNCTIONS = {"pairwise": "3.10", "batched": "3.12"}
ARGUMENTS = {("zip", "strict"): "3.10", ("dataclass", "slots"): "3.10", ("dataclass", "kw_only"): "3.10"}
MODULES = {"tomllib": "3.11", "zoneinfo": "3.9", "graphlib": "3.9"}


def main() -> None:
    for name, text in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")).items():
        for line, what in newer(text):
            print(f"{name}:{line} {what}")


def newer(text: str) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(text, feature_version=(3, 8))
    except SyntaxError as error:
        yield error.lineno or 0, error.msg
        return
    for node in evaluated(tree, has_future_annotations(tree)):
        what = newer_than_38(node)
        if what is not None:
            yield node.lineno, what


def has_future_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def evaluated(node: ast.AST, annotations_are_text: bool) -> Iterator[ast.AST]:
    """All that runs: annotations do, unless the file says that they are text."""
    for name, value in ast.iter_fields(node):
        if annotations_are_text and name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                if hasattr(child, "lineno"):
                    yield child
                yield from evaluated(child, annotations_are_text)


def newer_than_38(node: ast.AST) -> str | None:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        if node.value.id in GENERIC_SINCE_39:
            return f"{node.value.id}[…] when it runs: 3.9"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and is_none(node.right):
        return "… | None when it runs: 3.10"
    if isinstance(node, ast.Attribute) and node.attr in METHODS:
        return f".{node.attr}: {METHODS[node.attr]}"
    if isinstance(node, ast.Import):
        return since(MODULES, [alias.name for alias in node.names])
    if isinstance(node, ast.ImportFrom):
        imported = {**MODULES, **FUNCTIONS}
        return since(imported, [node.module or "", *(alias.name for alias in node.names)])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        given = {f"{node.func.id}({keyword.arg}=)": keyword.arg for keyword in node.keywords}
        known = {f"{function}({name}=)": version for (function, name), version in ARGUMENTS.items()}
        return since(known, list(given))
    return None


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def since(versions: dict[str, str], names: list[str]) -> str | None:
    return next((f"{name}: {versions[name]}" for name in names if name in versions), None)


if __name__ == "__main__":
    main()
