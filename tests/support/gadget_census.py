"""A census of callables that reach code, files, processes or the network: read from source, never imported.

A function is one when its body calls a sink, or a function of its module that is one; a class, when that is so of one
of the methods that run while an object is made, filled or forgotten, or when a class of its module is one that it is
made from.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

SINKS = {
    "exec",
    "eval",
    "compile",
    "__import__",
    "import_module",
    "import_string",
    "system",
    "popen",
    "Popen",
    "check_output",
    "check_call",
    "getoutput",
    "getstatusoutput",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "spawnv",
    "spawnve",
    "posix_spawn",
    "open",
    "fdopen",
    "urlopen",
    "urlretrieve",
    "CDLL",
    "PyDLL",
    "LoadLibrary",
    "dlopen",
    "create_connection",
    "rmtree",
    "unlink",
    "loads",
    "load_module",
    "exec_module",
    "run_path",
    "run_module",
    "runcode",
    "runsource",
    "fork",
    "startfile",
    "load_source",
    "spec_from_file_location",
    "execfile",
    "FunctionType",
    "CodeType",
    "write_text",
    "write_bytes",
}
AT_LOAD = {
    "__init__",
    "__new__",
    "__setstate__",
    "__del__",
    "__call__",
    "__getattr__",
    "__setattr__",
    "__setitem__",
    "append",
    "extend",
    "__init_subclass__",
    "__reduce__",
}
IN_C = {
    "posix": ["system", "execv", "execve", "fork", "posix_spawn", "remove", "unlink", "open", "kill", "putenv"],
    "builtins": [
        "eval",
        "exec",
        "compile",
        "__import__",
        "open",
        "getattr",
        "setattr",
        "delattr",
        "globals",
        "locals",
        "vars",
        "type",
        "super",
        "map",
        "filter",
        "iter",
        "memoryview",
        "classmethod",
        "staticmethod",
        "property",
        "input",
    ],
    "_io": ["open", "FileIO"],
    "_socket": ["socket"],
    "marshal": ["loads", "load"],
    "_pickle": ["loads", "load", "Unpickler"],
    "_ctypes": ["dlopen", "dlsym", "CFuncPtr"],
    "_posixsubprocess": ["fork_exec"],
    "_imp": ["create_dynamic", "exec_dynamic"],
    "operator": ["attrgetter", "methodcaller", "itemgetter", "call"],
    "_operator": ["attrgetter", "methodcaller", "itemgetter"],
    "_functools": ["reduce"],
    "functools": ["reduce"],
    "itertools": ["starmap", "accumulate"],
    "types": ["FunctionType", "CodeType"],
    "_thread": ["start_new_thread"],
    "_sqlite3": ["connect"],
    "mmap": ["mmap"],
    "gc": ["get_objects"],
    "sys": ["settrace", "exit"],
}
SKIPPED = {"test", "tests", "idle_test", "site-packages", "__pycache__", "lib-dynload"}


def standard_library() -> Iterator[tuple[str, str]]:
    """Gadgets of the standard library."""
    for module, names in IN_C.items():
        for name in names:
            yield module, name
    yield from _below(Path(sysconfig.get_path("stdlib")), "")


def installed() -> Iterator[tuple[str, str]]:
    """Gadgets of every installed package."""
    for place in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        yield from _below(Path(place), "")


def package(name: str) -> Iterator[tuple[str, str]]:
    """Gadgets of an installed package; nothing if it isn't installed."""
    found = importlib.util.find_spec(name)
    if found is not None and found.submodule_search_locations:
        yield from _below(Path(next(iter(found.submodule_search_locations))), f"{name}.")


_A_SINK = re.compile(rb"\b(?:%s)\s*\(" % b"|".join(sorted(name.encode() for name in SINKS)))


def _below(root: Path, prefix: str) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED & set(parts):
            continue
        source = path.read_bytes()
        if not _A_SINK.search(source):  # most files: parsing is what costs
            continue
        module = (prefix + ".".join(part for part in parts if part != "__init__")).rstrip(".")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for name in gadgets(tree):
            yield module, name


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def gadgets(tree: ast.Module) -> Iterator[str]:
    """The names of a module's functions and classes that reach out."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    bodies: dict[str, tuple[_Function, str]] = {
        node.name: (node, "") for node in tree.body if isinstance(node, _Function)
    }
    for kind in classes.values():
        bodies |= {f"{kind.name}.{node.name}": (node, kind.name) for node in kind.body if isinstance(node, _Function)}
    bases = {name: [item.id for item in node.bases if isinstance(item, ast.Name)] for name, node in classes.items()}
    called = {name: set(_called(node, owner)) for name, (node, owner) in bodies.items()}
    reaching = {name for name, calls in called.items() if "" in calls}
    while reaching:
        made = _made(classes, bases, reaching)
        more = {name for name, calls in called.items() if name not in reaching and calls & (reaching | made)}
        if not more:
            yield from sorted({name for name in reaching if "." not in name} | made)
            return
        reaching |= more


def _called(node: _Function, owner: str) -> Iterator[str]:
    """What a function calls: names of its module, methods of its own class; an empty name stands for a sink."""
    for item in ast.walk(node):
        if not isinstance(item, ast.Call):
            continue
        function = item.func
        if isinstance(function, ast.Name):
            yield "" if function.id in SINKS else function.id
        elif isinstance(function, ast.Attribute):
            if function.attr in SINKS and function.attr != "compile":  # re.compile
                yield ""
            elif owner and isinstance(function.value, ast.Name) and function.value.id in ("self", "cls"):
                yield f"{owner}.{function.attr}"


def _made(classes: Mapping[str, ast.ClassDef], bases: Mapping[str, list[str]], reaching: set[str]) -> set[str]:
    """The classes whose objects reach out when they are made; a class inherits that."""
    found = {name for name in classes if any(f"{name}.{method}" in reaching for method in AT_LOAD)}
    while more := {name for name in classes if name not in found and found & set(bases[name])}:
        found |= more
    return found
