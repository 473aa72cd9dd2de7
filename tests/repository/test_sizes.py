"""No module and no function of the product is longer than a reader can hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES = 400
ONE_LIST = ROOT / "operator/licenseusage/reasons/vocabulary.py"  # an enumeration, a line each
FUNCTION_LINES = 60


def modules() -> list[Path]:
    return sorted((ROOT / "operator").rglob("*.py"))


def functions(module: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's place and the lines of its body.

    Neither the docstring nor the signature counts: both are the contract, and the signature of a
    command is the list of its options with their help.
    """
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        lines = 1 + (node.end_lineno or 0) - body[0].lineno if body else 0
        yield f"{module.relative_to(ROOT)}:{node.lineno} {node.name}", lines


def test_no_module_is_longer_than_400_lines():
    sizes = {str(one.relative_to(ROOT)): len(one.read_text().splitlines()) for one in modules()}
    del sizes[str(ONE_LIST.relative_to(ROOT))]
    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_60_lines():
    sizes = dict(one for module in modules() for one in functions(module))
    assert len(sizes) > 1000
    assert {name: lines for name, lines in sizes.items() if lines > FUNCTION_LINES} == {}
