"""A census of callables that reach code, files, processes or the network: read from source, never imported.

A function is one when its body calls a sink; a class, when one of the methods does that run while an object is made,
filled or forgotten.
"""

from __future__ import annotations

import ast
import importlib.util
import sysconfig
from collections.abc import Iterator
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


def package(name: str) -> Iterator[tuple[str, str]]:
    """Gadgets of an installed package; nothing if it isn't installed."""
    found = importlib.util.find_spec(name)
    if found is not None and found.submodule_search_locations:
        yield from _below(Path(next(iter(found.submodule_search_locations))), f"{name}.")


def _below(root: Path, prefix: str) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED & set(parts):
            continue
        module = (prefix + ".".join(part for part in parts if part != "__init__")).rstrip(".")
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and _reaches_out(node):
                yield module, node.name


def _reaches_out(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(
            isinstance(item, ast.FunctionDef) and item.name in AT_LOAD and _reaches_out(item) for item in node.body
        )
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            name = getattr(item.func, "attr", getattr(item.func, "id", ""))
            if name in SINKS and not (name == "compile" and isinstance(item.func, ast.Attribute)):  # re.compile
                return True
    return False
