"""The ways in which one expression or statement of a module can be made wrong."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLED = {"min": "max", "max": "min", "all": "any", "any": "all", "union": "intersection"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken version of a module.

    Attributes:
        module: Name of the module's file, such as ``facts.py``.
        line: Where it was broken.
        number: Distinguishes mutants of the module.
        was: The source of what was broken.
        now: The source of what it became.
        source: The whole module, broken.
        function: Qualified name of the function that was broken; empty outside of functions.
        text: The line as it is written.
    """

    module: str
    line: int
    number: int
    was: str
    now: str
    source: str
    function: str
    text: str

    @property
    def name(self) -> str:
        """What the list of survivors calls it: it outlives changes elsewhere in the module."""
        return f"{self.module} {self.function}: {self.text} | {self.was} -> {self.now}"


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its lines."""
    tree = ast.parse(source)
    lines = source.splitlines()
    number = 0
    for position, (node, function) in enumerate(_code(tree)):
        for replacement in _broken(node):
            broken_tree = copy.deepcopy(tree)
            target, _ = list(_code(broken_tree))[position]
            _Replace(target, replacement).visit(broken_tree)
            text = ast.unparse(ast.fix_missing_locations(broken_tree))
            line = getattr(node, "lineno", 1)
            texts = _line_of(node), _line_of(replacement)
            yield Mutant(module, line, number, *texts, text, function, lines[line - 1].strip())
            number += 1


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._target:
            return ast.copy_location(self._replacement, node)
        visited: ast.AST = self.generic_visit(node)
        return visited


def _code(tree: ast.AST, above: str = "", function: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Walk what is executed, with the function it is in: no annotations, no docstrings."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "type_comment", "decorator_list", "bases"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_docstring(child):
                continue
            yield child, function
            if isinstance(child, ast.ClassDef):
                yield from _code(child, f"{above}{child.name}.", function)
            elif isinstance(child, ast.FunctionDef):
                # Defaults are evaluated outside of it; whoever calls it uses them.
                yield from _code(child, above, function or above + child.name)
            else:
                yield from _code(child, above, function)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _broken(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=[*ops], comparators=comparators):
            for at, op in enumerate(ops):
                for other in _COMPARED.get(type(op), ()):
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], comparators)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTED:
            yield ast.BinOp(left, _COMPUTED[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            for at in range(len(values)):
                kept = [*values[:at], *values[at + 1 :]]
                yield kept[0] if len(kept) == 1 else ast.BoolOp(op, kept)
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(number)):
            yield ast.Constant(number + 1)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CALLED:
            yield ast.Call(ast.Name(_CALLED[name], ast.Load()), args, keywords)
        case ast.IfExp(test=_, body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.If(test=test, body=body, orelse=orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Pass()
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _COMPUTED:
            yield ast.AugAssign(target, _COMPUTED[type(op)](), value)
            yield ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Return(value=value) if value is not None and not _is_no(value):
            yield ast.Return(ast.Constant(None))
        case ast.comprehension(target=target, iter=source, ifs=[_, *rest], is_async=kind):
            yield ast.comprehension(target, source, rest, kind)


def _is_no(node: ast.AST) -> bool:
    """Whether it is None, or False, for which None is as good."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _line_of(node: ast.AST) -> str:
    """One line for people."""
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    if isinstance(node, ast.Pass):
        return "nothing"
    return " ".join(ast.unparse(node).split())[:160]
