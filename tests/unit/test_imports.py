"""Who may import whom: the table, and the test that holds the tree against it.

Module names are those of the tree: `namenode.raft.core` is namenode/raft/core.py. A pattern `x` means the module x
and everything below it. To allow something new, change the table here, with its reason.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.unit.imports import Import, Module, find_cycle, find_patches, read_imports, read_modules

TREE = Path(__file__).parents[2]

# What each folder at the top may import of the others.
LAYERS = {
    "namenode": {"common", "protos"},
    "datanode": {"common", "protos"},
    "client": {"common", "protos"},
    "common": {"protos"},
    "protos": set(),
}

# Modules that import the standard library and themselves, nothing else.
SELF_CONTAINED = ("namenode.raft",)

# Modules that are functions from values to values: time and chance are arguments, input and output are elsewhere.
PURE = (
    "namenode.raft",
    "namenode.state",
    "namenode.placement",
    "namenode.block_reports",
    "namenode.wire",
    "common.address",
    "common.attributes",
    "common.blocks",
    "common.operations",
    "client.cli.modes",
    "client.content_map",
    "client.file_info",
    "client.leader_search",
    "client.write_buffer",
    "datanode.layout",
)
NOT_PURE = ("namenode.state.tables", "namenode.state.machine")  # they open the database
IMPURE = {
    "grpc", "lmdb", "os", "socket", "threading", "time", "random",
    "asyncio", "concurrent", "logging", "multiprocessing", "pathlib", "secrets", "select", "selectors", "shutil",
    "signal", "ssl", "subprocess", "tempfile", "uuid",
}  # fmt: skip

# Libraries that stay at an edge, and the modules that are that edge.
SERVICES = ("namenode.admin_service", "namenode.registry_service", "namenode.session_service")
LINKS = ("namenode.peers", "client.session_link", "client.admin", "datanode.namenode_link")
TRANSFERS = (
    "client.block_reader", "client.block_writer", "datanode.access", "datanode.read_stream", "datanode.statuses",
    "datanode.transfer_server", "datanode.write_stream",
)  # fmt: skip
EDGES: dict[str, tuple[str, ...]] = {
    "grpc": ("common.channels", *SERVICES, *LINKS),
    "protos": (
        *SERVICES, *LINKS, *TRANSFERS,
        "client.session", "client.outbox", "namenode.streams", "datanode.registration",  # these build messages
        "client.cli.members", "namenode.server",
    ),
    "lmdb": (
        "namenode.log_store", "namenode.state.tables",
        "datanode.environment", "datanode.mutation", "datanode.piece_store",
    ),
    "click": ("client.cli",),
    "rich": ("client.cli",),
}  # fmt: skip

# Folders whose functions may import, and why.
DEFERRED = {
    "client.connection": "`import cairnfs.client` is quick: gRPC and all else is loaded when connect() is called",
    "client.cli": "the command line loads a command, and what it needs, when it is run",
}

VAGUE = re.compile(r"utils?|helpers?|misc|managers?")


def is_under(module: str, patterns: Iterable[str]) -> bool:
    """Whether `module` is one of `patterns`, or lies below one."""
    return any(module == pattern or module.startswith(pattern + ".") for pattern in patterns)


def break_layers(imports: list[Import]) -> list[Import]:
    """Imports across the folders at the top that LAYERS does not name."""
    return [
        each
        for each in imports
        if each.is_ours
        and each.top != each.importer.partition(".")[0]
        and each.top not in LAYERS[each.importer.partition(".")[0]]
    ]


def break_self_containment(imports: list[Import]) -> list[Import]:
    """Imports of a self-contained package that are neither its own nor the standard library's."""
    return [
        each
        for each in imports
        for home in SELF_CONTAINED
        if is_under(each.importer, [home])
        and not (is_under(each.target, [home]) if each.is_ours else each.top in sys.stdlib_module_names)
    ]


def break_purity(imports: list[Import]) -> list[Import]:
    """Imports of a pure module that bring in the world."""
    return [
        each
        for each in imports
        if is_under(each.importer, PURE) and not is_under(each.importer, NOT_PURE)
        if not each.is_ours and each.top in IMPURE
    ]


def break_edges(imports: list[Import]) -> list[Import]:
    """Imports of a library outside of the place it is kept in."""
    return [each for each in imports if each.top in EDGES and not is_under(each.importer, [*EDGES[each.top], each.top])]


def break_deferral(imports: list[Import]) -> list[Import]:
    """Imports inside a function, where DEFERRED gives no reason for them."""
    return [each for each in imports if each.inside and not is_under(each.importer, DEFERRED)]


def break_stars(imports: list[Import]) -> list[Import]:
    """Star imports."""
    return [each for each in imports if each.is_star]


RULES = {
    "namenode, datanode and client share only common and protos": break_layers,
    "a self-contained package imports the standard library and itself": break_self_containment,
    "a pure module imports nothing that touches the world": break_purity,
    "a library stays at its edge (EDGES says where)": break_edges,
    "a function imports only where DEFERRED gives the reason": break_deferral,
    "no star imports": break_stars,
}

PLANTED = {
    "namenode, datanode and client share only common and protos": ("common/x.py", "import cairnfs.namenode.raft"),
    "a self-contained package imports the standard library and itself": (
        "namenode/raft/x.py",
        "from ...common import errors",
    ),
    "a pure module imports nothing that touches the world": ("namenode/raft/x.py", "from time import monotonic"),
    "a library stays at its edge (EDGES says where)": ("datanode/x.py", "import grpc.aio"),
    "a function imports only where DEFERRED gives the reason": (
        "datanode/x.py",
        "class A:\n    def f(self):\n        import json",
    ),
    "no star imports": ("datanode/x.py", "from json import *"),
}


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules(TREE, LAYERS)


def plant(root: Path, files: dict[str, str]) -> dict[str, Module]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return read_modules(root, [folder for folder in LAYERS if (root / folder).is_dir()])


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule: str, modules: dict[str, Module]) -> None:
    """The tree keeps the rule."""
    broken = RULES[rule](read_imports(modules))
    assert not broken, f"{rule}, but:\n" + "\n".join(map(str, broken))


@pytest.mark.parametrize("rule", RULES)
def test_rule_catches_a_planted_break(rule: str, tmp_path: Path) -> None:
    """Each rule finds the one import that breaks it."""
    path, text = PLANTED[rule]
    assert len(RULES[rule](read_imports(plant(tmp_path, {path: text})))) == 1


def test_no_cycles(modules: dict[str, Module]) -> None:
    """No module imports itself by way of others."""
    cycle = find_cycle(read_imports(modules))
    assert not cycle, "modules import each other in a cycle: " + " → ".join(cycle)


def test_a_cycle_is_found(tmp_path: Path) -> None:
    """Three modules in a ring are reported in the order in which they import each other."""
    ring = {f"common/{a}.py": f"from . import {b}" for a, b in ("ab", "bc", "ca")}
    assert find_cycle(read_imports(plant(tmp_path, ring))) == ["common.a", "common.b", "common.c", "common.a"]


def test_nothing_is_patched(modules: dict[str, Module]) -> None:
    """No module sets an attribute of what it imported."""
    patches = find_patches(modules)
    assert not patches, "attributes are patched in:\n" + "\n".join(patches)


def test_a_patch_is_found(tmp_path: Path) -> None:
    """An assignment to an imported module's attribute is reported."""
    assert find_patches(plant(tmp_path, {"common/a.py": "import json\njson.loads = None"})) == [
        "common/a:2 sets json.loads"
    ]


def test_no_allowance_is_left_over(modules: dict[str, Module]) -> None:
    """Each module that the table lets use a library uses it: the table tells what is."""
    imports = read_imports(modules)
    unused = [
        f"{module} does not import {library}"
        for library, allowed in EDGES.items()
        for module in allowed
        if not any(each.top == library and is_under(each.importer, [module]) for each in imports)
    ]
    assert not unused, "take these out of EDGES:\n" + "\n".join(unused)
    missing = [
        pattern for pattern in (*PURE, *NOT_PURE, *DEFERRED) if not any(is_under(name, [pattern]) for name in modules)
    ]
    assert not missing, f"no such module any more: {missing}"


def users_of(module: str, imports: list[Import]) -> set[str]:
    """The folders at the top, but `common`, that import `module`, also by way of other modules of `common`."""
    found: set[str] = set()
    waiting, seen = [module], {module}
    while waiting:
        target = waiting.pop()
        for importer in {each.importer for each in imports if each.is_ours and each.target == target}:
            if not importer.startswith("common."):
                found.add(importer.partition(".")[0])
            elif importer not in seen:
                seen.add(importer)
                waiting.append(importer)
    return found


def test_common_is_shared(modules: dict[str, Module]) -> None:
    """Every module of common/ has two of the three programs as its users."""
    imports = read_imports(modules)
    lonely = [name for name in modules if name.startswith("common.") and len(users_of(name, imports)) < 2]
    assert not lonely, f"these belong to their only user: {lonely}"


def test_names_say_what_is_in_them(modules: dict[str, Module]) -> None:
    """No module is called utils, helpers, misc or manager."""
    vague = [name for name in modules if VAGUE.fullmatch(name.rpartition(".")[2])]
    assert not vague, f"name these for what they own: {vague}"


def test_every_package_is_shipped() -> None:
    """pyproject.toml lists every folder with an __init__.py, and each package at the top is marked as typed."""
    listed = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent for top in LAYERS for path in (TREE / top).rglob("__init__.py")]
    found = {"cairnfs." + ".".join(folder.relative_to(TREE).parts) for folder in folders}
    assert found == set(listed)
    assert all((TREE / top / "py.typed").is_file() for top in LAYERS)
