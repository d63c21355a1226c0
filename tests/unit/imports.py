"""Reads every import of a source tree with `ast`, without running any of it.

Knows how names resolve (relative imports, `from package import module`, imports inside functions); knows no rule:
those are the table in test_imports.py.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = "cairnfs."


@dataclass(frozen=True)
class Import:
    """One imported name. Modules of the project are written without `cairnfs.`: `namenode.raft.core`."""

    importer: str
    line: int
    target: str
    is_ours: bool
    inside: str = ""
    is_star: bool = False

    @property
    def top(self) -> str:
        """The first part of the target: `grpc` of `grpc.aio`, `common` of `common.errors`."""
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        where = f" inside {self.inside}()" if self.inside else ""
        return f"{self.importer.replace('.', '/')}:{self.line} imports {self.target}{where}"


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    name: str
    is_package: bool
    tree: ast.Module


def read_modules(root: Path, folders: Iterable[str]) -> dict[str, Module]:
    """All modules below `folders` of `root`, generated ones left out."""
    modules = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if path.stem.endswith(("_pb2", "_pb2_grpc")):
                continue
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules[name] = Module(name, is_package, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return modules


def read_imports(modules: dict[str, Module]) -> list[Import]:
    """Every import in `modules`, in the order of the files and lines."""
    return [found for module in modules.values() for found in _imports_of(module, modules)]


def _imports_of(module: Module, modules: dict[str, Module]) -> Iterator[Import]:
    for node, inside in _walk(module.tree, ""):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _make(module, node.lineno, alias.name, inside)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                is_module = deeper.removeprefix(ROOT) in modules or base in ("cairnfs", "cairnfs.protos")
                yield _make(module, node.lineno, deeper if is_module else base, inside, is_star=alias.name == "*")


def _walk(node: ast.AST, inside: str) -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        yield child, inside
        yield from _walk(child, child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else inside)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = (ROOT + module.name).split(".")
    up = node.level - 1 if module.is_package else node.level
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _make(module: Module, line: int, target: str, inside: str, *, is_star: bool = False) -> Import:
    is_ours = target.startswith(ROOT)
    return Import(module.name, line, target.removeprefix(ROOT), is_ours, inside, is_star)


def find_cycle(imports: Iterable[Import]) -> list[str]:
    """The modules of one cycle, the first repeated at the end; empty where there is none."""
    edges: dict[str, set[str]] = {}
    for each in imports:
        if each.is_ours and each.target != each.importer:
            edges.setdefault(each.importer, set()).add(each.target)
    done: set[str] = set()
    for start in sorted(edges):
        path = [] if start in done else [start]
        stack = [(name, iter(sorted(edges[name]))) for name in path]
        while stack:
            name, targets = stack[-1]
            target = next((t for t in targets if t not in done), None)
            if target is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif target in path:
                return [*path[path.index(target) :], target]
            else:
                path.append(target)
                stack.append((target, iter(sorted(edges.get(target, ())))))
    return []


def find_patches(modules: dict[str, Module]) -> list[str]:
    """Places that assign to an attribute of something imported: `module.name = …`."""
    found = []
    for module in modules.values():
        imported = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assigned = [target for node in ast.walk(module.tree) for target in getattr(node, "targets", ())]
        found += [
            f"{module.name.replace('.', '/')}:{target.lineno} sets {ast.unparse(target)}"
            for target in assigned
            if isinstance(target, ast.Attribute)
            if isinstance(target.value, ast.Name)
            if target.value.id in imported
        ]
    return found
