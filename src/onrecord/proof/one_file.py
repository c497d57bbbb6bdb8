"""The verifier as one file: the modules of this room, joined into a program that stands alone.

It is made from their sources, so that it cannot do anything else than they do. Imports among them
are dissolved; a name that two modules have, or that something else is called by, gets the name of
its module in front. Comments and texts stay as they are.

This module and what only writers need are not in it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

NAME: Final = "onrecord-verify.py"
PYTHON: Final = (3, 10)
"""The oldest Python that it runs on."""

_PACKAGE: Final = "onrecord.proof"
_MAIN: Final = "command"

_HEAD: Final = '''\
#!/usr/bin/env python3
"""Check a file that OnRecord sealed: an archive, the record of a chat, a transcript, an export.

    python3 {name} FILE [--key VKEY]… [--json]

It ends with status 0 if all that it checked holds, with 1 if something is wrong, which it names.
It needs Python {python} or newer and nothing else: no package, no server, no network.

This one file is made of the modules of the package {package}, which are in this order:

{modules}

A part of OnRecord, licensed under the Apache License, version 2.0.
"""

from __future__ import annotations

'''

_FOOT: Final = """

if __name__ == "__main__":
    sys.exit(main())
"""

_Place = tuple[int, int]
"""Line, counted from 1, and column in bytes of UTF-8, as ``ast`` counts them."""


@cache
def source() -> str:
    """Return the text of the program."""
    modules = _in_order()
    names = _Names.of(modules)
    python = ".".join(map(str, PYTHON))
    listed = "\n".join(f"    {one.name:16} {one.about}" for one in modules)
    head = _HEAD.format(name=NAME, python=python, package=_PACKAGE, modules=listed)
    bodies = [f"\n\n{_title(one.name)}\n\n{_rewritten(one, names)}\n" for one in modules]
    return head + _imports(modules) + "".join(bodies) + _FOOT


def _title(name: str) -> str:
    return f"# == {name} " + "=" * (92 - len(name))


# -- modules ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Module:
    """One source, and what it imports: from our own modules and from Python's library."""

    name: str
    text: str
    tree: ast.Module
    modules: dict[str, str] = field(default_factory=dict)
    """Modules of ours by the name they have here."""
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Names imported from modules of ours: the module and the name there."""
    imported: set[tuple[str, str]] = field(default_factory=set)
    """Module and name from Python's library; no name where the module itself is imported."""

    @property
    def about(self) -> str:
        """The first line of the docstring."""
        return (ast.get_docstring(self.tree) or "").partition("\n")[0]

    @property
    def needs(self) -> list[str]:
        """The modules of ours that must come before."""
        return sorted({*self.modules.values(), *(module for module, _ in self.names.values())})


def _read(name: str) -> _Module:
    text = (resources.files(_PACKAGE) / f"{name}.py").read_text(encoding="utf-8")
    module = _Module(name, text, ast.parse(text, feature_version=PYTHON))
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            module.imported |= {(one.name, "") for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            where = node.module or ""
            for one in node.names:
                if where == _PACKAGE:
                    module.modules[one.asname or one.name] = one.name
                elif where.startswith(f"{_PACKAGE}."):
                    module.names[one.name] = (where.rpartition(".")[2], one.name)
                else:
                    module.imported.add((where, one.name))
    return module


def _in_order() -> list[_Module]:
    """Return the modules that the command needs, each after those that it needs itself."""
    done: dict[str, _Module] = {}

    def add(name: str) -> None:
        if name not in done:
            module = _read(name)
            for other in module.needs:
                add(other)
            done[name] = module

    add(_MAIN)
    return list(done.values())


def _imports(modules: Iterable[_Module]) -> str:
    """Return what is imported from Python's library, once for all."""
    wanted = {one for module in modules for one in module.imported}
    lines = [f"import {module}\n" for module, name in sorted(wanted) if not name]
    for where in sorted({module for module, name in wanted if name}):
        names = sorted(name for module, name in wanted if module == where and name)
        line = f"from {where} import {', '.join(names)}\n"
        if len(line) > 100:  # noqa: PLR2004 - the longest line there is
            line = f"from {where} import (\n" + "".join(f"    {one},\n" for one in names) + ")\n"
        lines.append(line)
    return "".join(lines)


# -- names ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Names:
    """What each name of each module is called in the one file."""

    new: dict[tuple[str, str], str]

    @classmethod
    def of(cls, modules: list[_Module]) -> "_Names":
        """Choose the names: plain where nothing else is called so, else with the module's name."""
        own = [(module.name, name) for module in modules for name in _top_names(module.tree)]
        count = Counter(name for _, name in own)
        others = {name or where for module in modules for where, name in module.imported}
        others |= {name for module in modules for name in _inner_names(module.tree)}
        new = {
            (module, name): name
            if count[name] == 1 and name not in others
            else f"{'_' * name.startswith('_')}{module}_{name.lstrip('_')}"
            for module, name in own
        }
        # The one place that is called by name from the foot.
        new[_MAIN, "main"] = "main"
        if len({*new.values()} | others) != len(new) + len(others):
            raise AssertionError("two things in the one file would have one name")
        return cls(new)


def _top_names(tree: ast.Module) -> Iterator[str]:
    """Yield what a module defines."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _inner_names(tree: ast.Module) -> Iterator[str]:
    """Yield every name that is bound within a function of a module."""
    for node in ast.walk(tree):
        if isinstance(node, _SCOPES):
            yield from _bound_in(node)


_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES: Final = (ast.FunctionDef, ast.Lambda, *_COMPREHENSIONS)


def _bound_in(scope: ast.AST) -> set[str]:
    """Return the names that are bound in a function, a lambda or a comprehension itself."""
    bound: set[str] = set()
    if isinstance(scope, ast.FunctionDef | ast.Lambda):
        given = scope.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bound |= {one.arg for one in every if one}
    within = [scope.body] if isinstance(scope, ast.Lambda) else getattr(scope, "body", None)
    waiting: list[ast.AST] = list(within or ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.NamedExpr):
            bound.add(node.target.id)
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | _Comprehension):
            waiting += ast.iter_child_nodes(node)
        elif isinstance(node, _Comprehension):  # what := binds there, it binds here
            waiting += [one for one in ast.walk(node) if isinstance(one, ast.NamedExpr)]
    return bound


_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


# -- rewriting --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Change:
    """A piece of a source, from one place to another, that is called something else now."""

    begin: _Place
    end: _Place
    text: str


class _Finder(ast.NodeVisitor):
    """Finds what must change in a module: names of the top level, as each scope sees them."""

    def __init__(self, module: _Module, names: _Names) -> None:
        self.module = module
        self.names = names
        self.lines = module.text.splitlines(keepends=True)
        self.changes: list[_Change] = []
        self._scopes: list[set[str]] = []
        self._text: ast.JoinedStr | None = None

    def generic_visit(self, node: ast.AST) -> None:
        """Step into whatever is a scope of its own with the names that it binds."""
        if isinstance(node, _SCOPES):
            self._scopes.append(_bound_in(node))
            super().generic_visit(node)
            self._scopes.pop()
        else:
            super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Rename a function of the top level."""
        self._define(node, "def")
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Rename a class of the top level; what its body binds is seen there, not in functions."""
        self._define(node, "class")
        for one in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(one)
        for statement in node.body:
            is_function = isinstance(statement, ast.FunctionDef)
            self._scopes.append(set() if is_function else _bound_in(node))
            self.visit(statement)
            self._scopes.pop()

    def _define(self, node: ast.FunctionDef | ast.ClassDef, word: str) -> None:
        new = self.names.new.get((self.module.name, node.name))
        if new and new != node.name and node in self.module.tree.body:
            begin = (node.lineno, node.col_offset + len(word) + 1)
            self._change(begin, node.name, new)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Remember the outermost f-string: within, Python does not tell places reliably."""
        outer, self._text = self._text, self._text or node
        self.generic_visit(node)
        self._text = outer

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Dissolve ``module.name``."""
        value = node.value
        if isinstance(value, ast.Name) and self._is_global(value.id, self.module.modules):
            new = self.names.new[self.module.modules[value.id], node.attr]
            self._note(node, f"{value.id}.{node.attr}", new)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Rename what the top level defines or imports from a module of ours."""
        place = self.module.names.get(node.id, (self.module.name, node.id))
        new = self.names.new.get(place)
        if new and new != node.id and not self._is_bound(node.id):
            self._note(node, node.id, new)
        elif self._is_global(node.id, self.module.modules):
            raise AssertionError(f"{self.module.name}: the module {node.id} is used as a value")

    def _is_bound(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _is_global(self, name: str, among: Iterable[str]) -> bool:
        return name in among and not self._is_bound(name)

    def _note(self, node: ast.expr, old: str, new: str) -> None:
        if self._text is None:
            self._change((node.lineno, node.col_offset), old, new)
            return
        text = self._text
        whole = re.compile(rf"(?<![\w.]){re.escape(old)}(?!\w)")
        for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
            for match in whole.finditer(self.lines[number - 1]):
                before = self.lines[number - 1][: match.start()]
                if before.count("{") > before.count("}"):
                    self._change((number, len(before.encode())), old, new)

    def _change(self, begin: _Place, old: str, new: str) -> None:
        line, column = begin
        end = (line, column + len(old.encode()))
        if self.lines[line - 1].encode()[column : end[1]].decode() != old:
            raise AssertionError(
                f"{self.module.name}, line {line}: {old} is not where it should be"
            )
        self.changes.append(_Change(begin, end, new))


def _rewritten(module: _Module, names: _Names) -> str:
    """Return the body of a module with the names of the one file."""
    finder = _Finder(module, names)
    dropped = [node for node in module.tree.body if _is_dropped(node)]
    for node in module.tree.body:
        if node not in dropped:
            finder.visit(node)
    lines = [line.encode() for line in finder.lines]
    for change in sorted(set(finder.changes), reverse=True):
        number, column = change.begin
        line = lines[number - 1]
        lines[number - 1] = line[:column] + change.text.encode() + line[change.end[1] :]
    for node in dropped:
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            lines[number - 1] = b""
    text = b"".join(lines).decode().strip("\n")
    return _as_comment(ast.get_docstring(module.tree) or "") + re.sub(r"\n{4,}", "\n\n\n", text)


def _is_dropped(node: ast.stmt) -> bool:
    """Tell whether a statement has no place there: imports, the docstring, ``__all__``."""
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets)
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Import | ast.ImportFrom) or (is_text and node.lineno == 1)


def _as_comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n")) + "\n"
