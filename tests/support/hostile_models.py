"""Files that would attack whoever loads them, assembled here and never loaded. None may pass.

Each case is a name, a file name and bytes. The calls they would make are harmless by themselves (``id``, ``true``), in
case a scanner under comparison runs one after all.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from tests.support import pickle_assembler as p

Case = tuple[str, str, bytes]

GADGETS = [
    "os.system",
    "posix.system",
    "nt.system",
    "os.popen",
    "os.execv",
    "os.spawnl",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.putenv",
    "subprocess.Popen",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_output",
    "subprocess.getoutput",
    "commands.getoutput",
    "builtins.eval",
    "builtins.exec",
    "builtins.compile",
    "builtins.__import__",
    "builtins.open",
    "builtins.getattr",
    "builtins.setattr",
    "builtins.globals",
    "builtins.vars",
    "builtins.type",
    "builtins.map",
    "builtins.filter",
    "builtins.super",
    "builtins.memoryview",
    "builtins.breakpoint",
    "builtins.input",
    "builtins.delattr",
    "__builtin__.eval",
    "__builtin__.file",
    "__builtin__.execfile",
    "__builtin__.apply",
    "importlib.import_module",
    "importlib.reload",
    "imp.load_source",
    "runpy.run_path",
    "runpy._run_code",
    "code.InteractiveInterpreter",
    "pty.spawn",
    "pdb.Pdb",
    "pdb.run",
    "bdb.Bdb",
    "cProfile.run",
    "profile.run",
    "timeit.timeit",
    "trace.Trace",
    "doctest.debug_script",
    "pydoc.pipepager",
    "pydoc.locate",
    "shutil.rmtree",
    "shutil.move",
    "socket.create_connection",
    "socket.socket",
    "ssl.get_server_certificate",
    "http.client.HTTPSConnection",
    "urllib.request.urlopen",
    "urllib.request.urlretrieve",
    "requests.get",
    "smtplib.SMTP",
    "ftplib.FTP",
    "asyncio.unix_events._UnixSubprocessTransport._start",
    "asyncio.create_subprocess_shell",
    "multiprocessing.Process",
    "threading.Thread",
    "concurrent.futures.ThreadPoolExecutor",
    "ctypes.CDLL",
    "ctypes.PyDLL",
    "ctypes.cast",
    "_ctypes.dlopen",
    "operator.attrgetter",
    "operator.methodcaller",
    "operator.itemgetter",
    "operator.call",
    "_operator.attrgetter",
    "functools.reduce",
    "functools.partialmethod",
    "functools.cached_property",
    "itertools.starmap",
    "types.FunctionType",
    "types.CodeType",
    "types.ModuleType",
    "types.MethodType",
    "marshal.loads",
    "pickle.loads",
    "pickle.Unpickler",
    "_pickle.loads",
    "pickle._loads",
    "copyreg._extension_registry",
    "cloudpickle.cloudpickle._make_function",
    "cloudpickle.cloudpickle._builtin_type",
    "cloudpickle.loads",
    "dill._dill._create_function",
    "dill._dill._import_module",
    "dill.loads",
    "joblib.load",
    "joblib.numpy_pickle.load",
    "joblib.parallel.delayed",
    "joblib.memory.Memory",
    "numpy.load",
    "numpy.fromfile",
    "numpy.memmap",
    "numpy.loadtxt",
    "numpy.testing._private.utils.runstring",
    "numpy.f2py.crackfortran.getlincoef",
    "numpy.f2py.crackfortran.myeval",
    "numpy.distutils.exec_command.exec_command",
    "numpy.vectorize",
    "numpy.frompyfunc",
    "pandas.read_pickle",
    "pandas.io.pickle.read_pickle",
    "pandas.eval",
    "pandas.core.computation.eval.eval",
    "pandas.DataFrame.query",
    "pandas.HDFStore",
    "scipy.stats._distn_infrastructure.rv_continuous",
    "scipy.stats._continuous_distns.norm_gen",
    "scipy.io.loadmat",
    "sklearn.datasets.load_files",
    "sklearn.utils._testing.assert_run_python_script",
    "torch.load",
    "torch.hub.load",
    "torch.utils.bottleneck.__main__.run_cprofile",
    "torch.utils.cpp_extension.load",
    "torch.utils.collect_env.run",
    "torch.utils._config_module.ConfigModule.load_config",
    "torch.utils.data.datapipes.utils.decoder.basichandlers",
    "torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression",
    "torch.jit.unsupported_tensor_ops.execWrapper",
    "torch.package.PackageImporter",
    "torch._dynamo.guards.GuardBuilder.get",
    "torch._inductor.codecache.compile_file",
    "torch.serialization.load",
    "torch.jit.load",
    "torch.ops.load_library",
    "torch.classes.load_library",
    "yaml.unsafe_load",
    "yaml.load",
    "airflow.utils.module_loading.import_string",
    "airflow.models.dagbag.DagBag",
    "great_expectations.data_context.util.load_class",
    "great_expectations.util.import_library_module",
    "idlelib.pyshell.ModifiedInterpreter",
    "idlelib.autocomplete.AutoComplete",
    "idlelib.debugobj.ObjectTreeItem",
    "idlelib.run.Executive",
    "lib2to3.pgen2.grammar.Grammar",
    "lib2to3.pgen2.pgen.ParserGenerator",
    "ensurepip._run_pip",
    "venv.create",
    "webbrowser.open",
    "antigravity.geohash",
    "zipimport.zipimporter",
    "site.addsitedir",
    "sys.settrace",
    "signal.signal",
    "atexit.register",
    "logging.config.dictConfig",
    "logging.FileHandler",
    "tempfile.NamedTemporaryFile",
    "pathlib.Path",
    "io.FileIO",
    "io.open",
    "codecs.open",
    "tarfile.open",
    "zipfile.ZipFile",
    "sqlite3.connect",
    "sqlite3.dbapi2.connect",
    "dbm.open",
    "shelve.open",
    "xml.sax.parse",
    "configparser.ConfigParser",
    "uuid._get_command_stdout",
    "distutils.file_util.write_file",
    "_aix_support._read_cmd_output",
    "_osx_support._read_output",
    "test.support.script_helper.assert_python_ok",
    "unittest.mock._importer",
    "gc.get_objects",
    "inspect.getsource",
    "linecache.getline",
    "aiohttp.client.ClientSession",
    "httplib.HTTPSConnection",
    "webob.request.Request",
    "keras.models.load_model",
    "onnx.load",
    "jinja2.Template",
    "mako.template.Template",
    "cffi.FFI",
    "numba.core.runtime",
    "IPython.core.interactiveshell.InteractiveShell",
    "django.core.management.call_command",
    "twisted.internet.utils.getProcessOutput",
    "paramiko.proxy.ProxyCommand",
    "psutil.Popen",
    "nltk.util.Prover9",
    "setuptools._distutils.spawn.spawn",
    "pkg_resources.run_script",
    "pip.main",
    "__main__.Evil",
]


def _split(gadget: str) -> tuple[str, str]:
    module, _, name = gadget.rpartition(".")
    return module, name


def hostile_files() -> Iterator[Case]:
    """Every case."""
    for gadget in GADGETS:
        module, name = _split(gadget)
        yield f"global/{gadget}", "model.pkl", p.call(p.named(module, name), p.text("id")) + p.STOP
        body = p.call(p.stacked(module, name), p.text("id")) + p.STOP
        yield f"stack-global/{gadget}", "model.joblib", p.proto(4) + p.frame(body)
    yield from _tricks()
    yield from _forms()
    yield from _allowed_but_misused()
    yield from _joblib_tricks()
    yield from containers()


EVIL = p.call(p.named("os", "system"), p.text("id")) + p.STOP
EVIL4 = p.proto(4) + p.call(p.stacked("os", "system"), p.text("id")) + p.STOP
GOOD = p.proto(4) + p.text("weights") + p.STOP


def _tricks() -> Iterator[Case]:
    """Ways to reach a name past a scanner."""
    system, m = p.stacked("os", "system"), p.MEMOIZE
    cases: dict[str, bytes] = {
        "memo-decoy": p.text("os")
        + m
        + p.POP
        + p.text("system")
        + m
        + p.POP
        + p.text("numpy")
        + m
        + p.POP
        + p.get(0)
        + p.get(1)
        + p.STACK_GLOBAL
        + p.text("id")
        + p.TUPLE1
        + p.REDUCE
        + p.STOP,
        "decoy-between": p.text("os")
        + p.text("system")
        + p.text("decoy")
        + p.POP
        + p.STACK_GLOBAL
        + p.text("id")
        + p.TUPLE1
        + p.REDUCE
        + p.STOP,
        "pop-mark-decoy": p.text("os") + p.MARK + p.text("numpy") + b"1" + p.text("system") + p.STACK_GLOBAL + p.STOP,
        "dup": p.text("os") + p.DUP + p.POP + p.text("system") + p.STACK_GLOBAL + p.STOP,
        "long-binput": p.text("os")
        + b"r\x05\0\0\0"
        + b"0"
        + b"j\x05\0\0\0"
        + p.text("system")
        + p.STACK_GLOBAL
        + p.STOP,
        "memo-rewritten": p.text("numpy")
        + p.put(0)
        + b"0"
        + p.text("os")
        + p.put(0)
        + b"0"
        + p.get(0)
        + p.text("system")
        + p.STACK_GLOBAL
        + p.STOP,
        "memo-huge": p.text("x") + b"r\xff\xff\xff\x7f" + p.STOP,
        "memo-never-put": p.get(7) + p.STOP,
        "inst": b"(X\x02\0\0\0idios\nsystem\n.",
        "obj": b"(" + p.named("os", "system") + p.text("id") + p.OBJ + p.STOP,
        "newobj": p.named("subprocess", "Popen") + p.text("id") + p.TUPLE1 + p.NEWOBJ + p.STOP,
        "newobj-ex": p.named("subprocess", "Popen") + p.text("id") + p.TUPLE1 + p.EMPTY_DICT + p.NEWOBJ_EX + p.STOP,
        "ext1": b"\x82\x01" + p.STOP,
        "ext2": b"\x83\x01\x01" + p.STOP,
        "ext4": b"\x84\x01\x01\0\0" + p.STOP,
        "persid": b"Pos.system\n" + p.STOP,
        "binpersid": p.text("os.system") + b"Q" + p.STOP,
        "dotted-name": p.stacked("random", "_os.system") + p.text("id") + p.TUPLE1 + p.REDUCE + p.STOP,
        "dotted-allowed-module": p.stacked("numpy", "ndarray.tofile") + p.STOP,
        "dotted-class": p.stacked("sklearn.base", "BaseEstimator.__init__.__globals__") + p.STOP,
        "build-on-global": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_DICT
        + p.text("fit")
        + system
        + p.SETITEM
        + p.BUILD
        + p.STOP,
        "build-on-module-name": p.named("numpy", "ndarray") + p.NONE + p.EMPTY_DICT + p.TUPLE2 + p.BUILD + p.STOP,
        "computed-callable": p.named("functools", "partial")
        + system
        + p.TUPLE1
        + p.REDUCE
        + p.EMPTY_TUPLE
        + p.REDUCE
        + p.STOP,
        "partial-of-evil": p.named("functools", "partial") + system + p.TUPLE1 + p.REDUCE + p.STOP,
        "call-an-instance": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + p.text("id")
        + p.TUPLE1
        + p.REDUCE
        + p.STOP,
        "call-text": p.text("os.system") + p.text("id") + p.TUPLE1 + p.REDUCE + p.STOP,
        "setstate-in-state": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + p.EMPTY_DICT
        + p.text("__setstate__")
        + p.named("numpy", "mean")
        + p.SETITEM
        + p.BUILD
        + p.STOP,
        "class-in-slots": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + p.NONE
        + p.EMPTY_DICT
        + p.text("__class__")
        + p.named("numpy", "ndarray")
        + p.SETITEM
        + p.TUPLE2
        + p.BUILD
        + p.STOP,
        "built-twice": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + p.EMPTY_DICT
        + p.BUILD
        + p.EMPTY_DICT
        + p.BUILD
        + p.STOP,
        "built-through-memo": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + m
        + p.POP
        + p.get(0)
        + p.EMPTY_DICT
        + p.BUILD
        + p.STOP,
        "append-on-instance": p.named("sklearn.linear_model._base", "LinearRegression")
        + p.EMPTY_TUPLE
        + p.NEWOBJ
        + p.EMPTY_DICT
        + p.text("extend")
        + p.named("numpy", "mean")
        + p.SETITEM
        + p.BUILD
        + p.MARK
        + p.text("x")
        + p.APPENDS
        + p.STOP,
        "list-through-memo": p.EMPTY_LIST + m + p.POP + p.get(0) + p.text("x") + p.APPEND + p.STOP,
        "dict-through-memo": p.EMPTY_DICT + m + p.POP + p.get(0) + p.text("x") + p.text("y") + p.SETITEM + p.STOP,
        "set-of-instance": p.named("collections", "deque")
        + p.EMPTY_TUPLE
        + p.REDUCE
        + p.MARK
        + p.text("x")
        + p.ADDITEMS
        + p.STOP,
        "name-is-no-text": p.number(1) + p.text("system") + p.STACK_GLOBAL + p.STOP,
        "fullwidth": p.stacked("ｏｓ", "system") + p.STOP,
        "newline-in-name": p.stacked("os\n", "system") + p.STOP,
        "next-buffer": b"\x97" + p.STOP,
        "readonly-buffer": p.raw_bytes(b"x") + b"\x98" + p.STOP,
    }
    for name, body in cases.items():
        yield f"trick/{name}", "model.pkl", p.proto(4) + body
        yield f"trick-framed/{name}", "model.pickle", p.proto(4) + p.frame(body)


def _forms() -> Iterator[Case]:
    """Files that aren't whole, or are more than one."""
    padding = b"\n" * 200
    cases: dict[str, bytes] = {
        "empty-stack": p.proto(4) + p.STOP,
        "two-left": p.proto(4) + p.text("a") + p.text("b") + p.STOP,
        "open-mark": p.proto(4) + p.MARK + p.text("a") + p.STOP,
        "no-stop": p.proto(4) + p.text("a"),
        "truncated-call": EVIL4[:-1],
        "truncated-text": p.proto(4) + b"\x8c\xff" + b"short",
        "truncated-bytes8": p.proto(4) + b"\x8e" + struct.pack("<Q", 1 << 40) + b"x",
        "error-before-global": p.proto(4) + b"\xff" + EVIL,
        "error-after-global": EVIL4[:-2] + b"\xff" + p.STOP,
        "trailing-bytes": GOOD + padding,
        "second-is-evil": GOOD + EVIL4,
        "second-without-magic": GOOD + EVIL,
        "memo-between-streams": p.proto(4)
        + p.text("os")
        + p.MEMOIZE
        + p.STOP
        + p.proto(4)
        + p.get(0)
        + p.text("system")
        + p.STACK_GLOBAL
        + p.STOP,
        "evil-then-good": EVIL4 + GOOD,
        "proto-in-the-middle": p.proto(4) + p.text("a") + p.POP + p.proto(2) + EVIL,
        "proto-9": b"\x80\x09" + EVIL,
        "frame-too-long": p.proto(4) + b"\x95" + struct.pack("<Q", 1 << 30) + p.text("a") + p.STOP,
        "frame-in-frame": p.proto(4) + p.frame(p.frame(p.text("a")) + p.STOP),
        "frame-cuts-opcode": p.proto(4) + b"\x95" + struct.pack("<Q", 3) + p.text("abcdef") + p.frame(p.STOP),
        "padding-before": p.proto(4) + (p.text("x" * 200) + p.POP) * 20_000 + EVIL4[2:],
        "bytes-before": p.proto(4) + b"B" + struct.pack("<I", 3_000_000) + bytes(3_000_000) + p.POP + EVIL4[2:],
        "protocol-0-text": b"(dp0\nS'a'\np1\ncos\nsystem\np2\ns.",
        "protocol-0-comment": b"S'harmless text'\n0cos\nsystem\n.",
        "marks": p.proto(4) + p.MARK * 300_000,
        "long-negative": b"\x8b\xff\xff\xff\xff" + p.STOP,
        "not-utf8": p.proto(4) + b"\x8c\x02\xff\xfe" + p.STOP,
        "odd-dictionary": p.proto(4) + p.EMPTY_DICT + p.MARK + p.text("a") + p.SETITEMS + p.STOP,
    }
    for name, body in cases.items():
        yield f"form/{name}", "model.pkl", body
        yield f"form-bin/{name}", "pytorch_model.bin", body


def _allowed_but_misused() -> Iterator[Case]:
    """Names that ordinary models need, with arguments that ordinary models don't have."""
    dtype = p.call(p.named("numpy", "dtype"), p.text("O8"), p.FALSE, p.TRUE)
    scalar, reconstruct = (p.named("numpy._core.multiarray", name) for name in ("scalar", "_reconstruct"))
    fields = p.EMPTY_DICT + p.text("a") + dtype + p.number(0) + p.TUPLE2 + p.SETITEM
    state = (
        p.MARK
        + p.number(3)
        + p.text("|")
        + p.NONE
        + p.text("a")
        + p.TUPLE1
        + fields
        + p.number(8)
        + p.number(1)
        + p.number(16)
    )
    system = p.stacked("os", "system")
    cases: dict[str, bytes] = {
        "scalar-of-object": p.call(scalar, dtype, p.text("x")),
        "reconstruct-memmap": p.call(
            reconstruct, p.named("numpy", "memmap"), p.number(0) + p.TUPLE1, p.raw_bytes(b"b")
        ),
        "reconstruct-huge": p.call(
            reconstruct, p.named("numpy", "ndarray"), b"\x8a\x05\0\0\0\0\x10" + p.TUPLE1, p.raw_bytes(b"b")
        ),
        "structure-of-objects": p.call(p.named("numpy", "dtype"), p.text("V8"), p.FALSE, p.TRUE)
        + state
        + p.TUPLE
        + p.BUILD,
        "dtype-flags": p.call(p.named("numpy", "dtype"), p.text("f8"), p.FALSE, p.TRUE)
        + p.MARK
        + p.number(3)
        + p.text("<")
        + p.NONE * 3
        + p.number(-1) * 2
        + p.number(63)
        + p.TUPLE
        + p.BUILD,
        "dtype-of-text": p.call(p.named("numpy", "dtype"), p.text("os.system"), p.FALSE, p.TRUE),
        "bytearray-of-number": p.call(p.named("builtins", "bytearray"), b"\x8a\x05\0\0\0\0\x10"),
        "bytes-of-number": p.call(p.named("builtins", "bytes"), b"\x8a\x05\0\0\0\0\x10"),
        "encode-rot13": p.call(p.named("_codecs", "encode"), p.text("flfgrz"), p.text("rot13")),
        "partial-of-call": p.call(p.named("functools", "partial"), p.text("os.system")),
        "reconstructor-of-evil": p.call(
            p.named("copyreg", "_reconstructor"), p.named("subprocess", "Popen"), p.named("builtins", "object"), p.NONE
        ),
        "reconstructor-of-base": p.call(
            p.named("copyreg", "_reconstructor"),
            p.named("collections", "OrderedDict"),
            p.named("subprocess", "Popen"),
            p.NONE,
        ),
        "newobj-of-evil": p.call(p.named("copyreg", "__newobj__"), p.named("subprocess", "Popen")),
        "call-estimator": p.call(p.named("sklearn.linear_model._base", "LinearRegression"), p.text("x")),
        "call-metric": p.call(p.named("sklearn.metrics._classification", "accuracy_score"), p.text("x")),
        "call-ufunc": p.call(p.named("numpy", "add"), p.text("x")),
        "call-type": p.call(p.named("builtins", "int"), p.text("1")),
        "bit-generator": p.call(p.named("numpy.random._pickle", "__bit_generator_ctor"), p.text("os.system")),
        "generator-of-evil": p.call(p.named("numpy.random._pickle", "__generator_ctor"), p.text("PCG64"), system),
        "index-of-evil": p.call(p.named("pandas.core.indexes.base", "_new_Index"), system, p.EMPTY_DICT),
        **{
            f"new-{name}-of-evil": p.call(
                p.named(f"pandas.core.indexes.{module}", f"_new_{name}"), system, p.EMPTY_DICT
            )
            for module, name in (
                ("datetimes", "DatetimeIndex"),
                ("timedeltas", "TimedeltaIndex"),
                ("interval", "IntervalIndex"),
            )
        },
        "index-of-no-index": p.call(
            p.named("pandas.core.indexes.interval", "_new_IntervalIndex"), p.named("pandas", "Index"), p.EMPTY_DICT
        ),
        "not-a-time-of-evil": p.call(p.named("pandas._libs.tslibs.nattype", "_nat_unpickle"), system),
        "sparse-of-evil": p.call(p.named("pandas._libs.sparse", "IntIndex"), p.number(1), system),
        "time-of-evil": p.call(p.named("pyarrow.lib", "timestamp"), system),
        "zone-by-getattr": p.call(p.named("builtins", "getattr"), p.named("zoneinfo", "ZoneInfo"), p.text("_unpickle")),
        "kd-tree-of-evil": p.call(p.named("sklearn.neighbors._kd_tree", "newObj"), system),
        "wrapper-outside-torch": p.call(
            p.named("torch._utils", "_rebuild_tensor_v2"), p.text("x"), p.number(0), p.EMPTY_TUPLE, p.EMPTY_TUPLE
        ),
        "arguments-are-no-tuple": reconstruct + p.EMPTY_LIST + p.REDUCE,
    }
    for name, body in cases.items():
        yield f"misuse/{name}", "model.pkl", p.proto(4) + body + p.STOP
        yield f"misuse-inside/{name}", "model.joblib", p.proto(4) + p.EMPTY_LIST + p.MARK + body + p.APPENDS + p.STOP


def wrapper(shape: bytes, code: str = "f8", *, alignment: bytes = b"K\x10", object_flags: bool = False) -> bytes:
    """joblib's description of an array that follows."""
    flags = p.number(63 if object_flags else 0)
    order = "|" if object_flags else "<"
    state = p.MARK + p.number(3) + p.text(order) + p.NONE * 3 + p.number(-1) + p.number(-1) + flags + p.TUPLE + p.BUILD
    items = (
        p.text("subclass")
        + p.named("numpy", "ndarray")
        + p.text("shape")
        + shape
        + p.text("order")
        + p.text("C")
        + p.text("dtype")
        + p.call(p.named("numpy", "dtype"), p.text(code), p.FALSE, p.TRUE)
        + state
        + p.text("allow_mmap")
        + p.TRUE
        + p.text("numpy_array_alignment_bytes")
        + alignment
    )
    made = p.named("joblib.numpy_pickle", "NumpyArrayWrapper") + p.EMPTY_TUPLE + p.NEWOBJ
    return made + p.EMPTY_DICT + p.MARK + items + p.SETITEMS + p.BUILD


def aligned(before: bytes, data: bytes) -> bytes:
    """The padding that joblib writes at this place, and the array."""
    length = 16 - (len(before) + 1) % 16
    return bytes([length]) + b"\xff" * length + data


def _joblib_tricks() -> Iterator[Case]:
    """Arrays that make joblib and a scanner read on at different places."""
    one = p.number(1) + p.TUPLE1
    plain, start = wrapper(one), p.proto(3)
    head = start + plain
    evil = p.text("os") + p.MEMOIZE  # memo 0 of the outer pickle
    inner_evil = p.proto(5) + p.text("numpy") + p.MEMOIZE + p.POP + p.get(0) + p.text("x") + p.POP + p.STOP
    outer = p.proto(3) + evil + p.text("system") + p.MEMOIZE + p.POP * 2 + wrapper(one, "O8", object_flags=True)
    inside = p.proto(5) + p.text("numpy") + p.MEMOIZE + p.text("mean") + p.MEMOIZE + p.POP * 2 + p.get(0) + p.get(1)
    cases: dict[str, bytes] = {
        "padding-byte": head + b"\x80" + bytes(7) + EVIL,
        "padding-content": head + bytes([16 - (len(head) + 1) % 16]) + EVIL,
        "unaligned": start + wrapper(one, alignment=p.NONE) + bytes(8) + p.STOP,
        "no-alignment-number": start + wrapper(one, alignment=p.text("16")) + bytes(8) + p.STOP,
        "array-hides-code": head + aligned(head, bytes(8)) + EVIL,
        "array-too-long": head + aligned(head, bytes(4)),
        "shape-not-known": start + wrapper(p.EMPTY_LIST) + bytes(64) + p.STOP,
        "shape-negative": start + wrapper(p.number(-1) + p.TUPLE1) + aligned(head, bytes(8)) + p.STOP,
        "shape-huge": start + wrapper(b"\x8a\x06\0\0\0\0\0\x10" + p.TUPLE1) + bytes(64) + p.STOP,
        "inside-a-frame": p.proto(4) + p.frame(plain + b"\x01\xff" + bytes(8) + p.STOP),
        "nested-evil": start + wrapper(one, "O8", object_flags=True) + EVIL4 + p.STOP,
        "nested-truncated": start + wrapper(one, "O8", object_flags=True) + inner_evil[:-1],
        "nested-means-another-name": outer + inside + p.STACK_GLOBAL + p.STOP + p.STOP,
        "nested-wrapper": start + wrapper(one, "O8", object_flags=True) + p.proto(5) + plain + p.STOP + p.STOP,
    }
    for name, body in cases.items():
        yield f"joblib/{name}", "model.joblib", body


# --- containers -------------------------------------------------------------------------------------------------------


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return target.getvalue()


def tarred(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data) if kind == tarfile.REGTYPE else 0, kind, target
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def npy(descr: str, shape: str, data: bytes, version: bytes = b"\x01\0") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def safetensors(header: object, data: bytes, *, length: int | None = None, text: bytes | None = None) -> bytes:
    raw = text if text is not None else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def containers() -> Iterator[Case]:
    """Every container and every other format."""
    yield from _zips()
    yield from _packed()
    yield from _arrays()
    yield from _formats()


def _zips() -> Iterator[Case]:
    good = zipped(("archive/data.pkl", GOOD), ("archive/version", b"3\n"))
    evil = zipped(("archive/data.pkl", EVIL4), ("archive/version", b"3\n"))
    at, central = good.find(b"archive/version"), good.find(b"PK\x01\x02")
    flipped = bytearray(good)
    flipped[good.find(b"weights")] ^= 1
    flags, local_name, method = bytearray(good), bytearray(good), bytearray(good)
    flags[6], flags[central + 8] = 1, 1
    local_name[good.find(b"archive/data.pkl") + 8 :][:4] = b"evil"
    local_name[good.find(b"archive/data.pkl") + 8] = ord("e")
    method[8] = 8
    strong = bytearray(good)
    strong[central + 8] = 0x40
    link = zipfile.ZipInfo("archive/link")
    link.external_attr = 0o120777 << 16
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    commented = io.BytesIO()
    with zipfile.ZipFile(commented, "w") as archive:
        archive.writestr("archive/data.pkl", GOOD)
        archive.comment = EVIL
    cases: dict[str, bytes] = {
        "evil": evil,
        "prefix": EVIL4 + good,
        "prefix-pickle": p.proto(4) + good,
        "suffix": good + EVIL4,
        "crc": bytes(flipped),
        "encrypted-flag": bytes(flags),
        "local-name": bytes(local_name),
        "local-method": bytes(method),
        "strong": bytes(strong),
        "comment": commented.getvalue(),
        "link": linked.getvalue(),
        "two-archives": good + good,
        "gap": good[: at - 30] + b"\0" * 30 + good[at - 30 :],
        "renamed": zipped(("archive/model.pkl", EVIL4)),
        "no-extension": zipped(("archive/weights", EVIL4)),
        "two-roots": zipped(("archive/data.pkl", GOOD), ("other/data.pkl", EVIL4)),
        "case": zipped(("archive/data.pkl", GOOD), ("archive/DATA.PKL", EVIL4)),
        "unicode-name": zipped(("archive/data.pkl", GOOD), ("archive/ｄata.pkl", EVIL4)),
        "absolute": zipped(("/etc/passwd", b"x")),
        "parent": zipped(("../../evil.txt", b"x")),
        "backslash": zipped(("..\\evil.txt", b"x")),
        "drive": zipped(("C:/evil.txt", b"x")),
        "dot": zipped(("./a.txt", b"x")),
        "control": zipped(("a\x01.txt", b"x")),
        "unreferenced": zipped(("archive/data.pkl", GOOD), ("archive/data/9", b"12345678")),
        "extra-pickle": zipped(("archive/data.pkl", GOOD), ("archive/extra.pkl", EVIL4)),
        "code": zipped(("archive/data.pkl", GOOD), ("archive/code/__torch__.py", b"op_version_set = 1")),
        "nested-zip": zipped(("inner.zip", evil)),
        "nested-gzip": zipped(("model.pkl.gz", gzip.compress(EVIL4))),
        "nested-deep": _nested(EVIL4, 8),
        "bomb": zipped(("zeros.txt", bytes(40_000_000)), method=zipfile.ZIP_DEFLATED),
        "lzma": zipped(("a.pkl", EVIL4), method=zipfile.ZIP_LZMA),
        "bzip2": zipped(("a.pkl", EVIL4), method=zipfile.ZIP_BZIP2),
        "deflated": zipped(("a.pkl", EVIL4), method=zipfile.ZIP_DEFLATED),
        "cut": good[:-5],
        "empty-central": good[:central],
        "script": zipped(("run.py", b"import os")),
        "library": zipped(("lib.so", b"\x7fELF" + bytes(60))),
    }
    duplicate = bytearray(zipped(("archive/data.pkl", GOOD), ("archive/dat2.pkl", EVIL4)))
    cases["duplicate"] = bytes(duplicate).replace(b"archive/dat2.pkl", b"archive/data.pkl")
    for name, body in cases.items():
        yield f"zip/{name}", "model.zip", body
        yield f"zip-torch/{name}", "model.pt", body
    storage = (
        p.MARK
        + p.text("storage")
        + p.named("torch", "FloatStorage")
        + p.text("0")
        + p.text("cpu")
        + p.number(4)
        + p.TUPLE
        + b"Q"
    )
    size, stride = p.number(100) + p.TUPLE1, p.number(1) + p.TUPLE1
    tail = p.FALSE + p.named("collections", "OrderedDict") + p.EMPTY_TUPLE + p.REDUCE
    tensor = p.call(p.named("torch._utils", "_rebuild_tensor_v2"), storage, p.number(0), size, stride, tail)
    pickled = p.proto(2) + tensor + p.STOP
    yield "torch/view-beyond-storage", "model.pt", zipped(("archive/data.pkl", pickled), ("archive/data/0", bytes(16)))
    stored = p.proto(2) + storage + p.STOP
    yield "torch/storage-missing", "model.pt", zipped(("archive/data.pkl", stored))
    yield "torch/storage-size", "model.pt", zipped(("archive/data.pkl", stored), ("archive/data/0", bytes(64)))
    evil_storage = stored.replace(b"ctorch\nFloatStorage\n", b"cos\nsystem\n")
    yield "torch/storage-class", "model.pt", zipped(("archive/data.pkl", evil_storage), ("archive/data/0", bytes(16)))
    yield from _torch_layers()


def _torch_layers() -> Iterator[Case]:
    """Persistent ids that aren't a layer's class as torch's old format has it, or a class used in another way."""
    linear, source = p.named("torch.nn.modules.linear", "Linear"), p.text("class Linear: pass")

    def layer(*items: bytes) -> bytes:
        return p.MARK + p.text("module") + b"".join(items) + p.TUPLE + b"Q"

    made = p.EMPTY_TUPLE + p.NEWOBJ + p.EMPTY_DICT + p.BUILD
    bodies = {
        "gadget": layer(p.named("os", "system"), p.NONE, source) + p.EMPTY_TUPLE + p.REDUCE,
        "called": layer(linear, p.text("linear.py"), source) + p.EMPTY_TUPLE + p.REDUCE,
        "built": layer(linear, p.text("linear.py"), source) + p.EMPTY_DICT + p.BUILD,
        "not-a-layer": layer(p.named("sklearn.svm._classes", "SVC"), p.NONE, p.NONE) + made,
        "function": layer(p.named("torch._utils", "_rebuild_tensor_v2"), p.NONE, p.NONE) + made,
        "text": layer(p.text("torch.nn.modules.linear.Linear"), p.NONE, p.NONE) + made,
        "no-source": layer(linear) + made,
        "source-of-objects": layer(linear, linear, p.EMPTY_DICT) + made,
    }
    system = p.proto(2) + p.EMPTY_DICT + p.STOP
    for name, body in bodies.items():
        pickled = p.proto(2) + body + p.STOP
        yield f"torch/layer-{name}", "model.pt", zipped(("archive/data.pkl", pickled))
        yield f"torch/old-layer-{name}", "model.pt", p.TORCH_HEAD + system + pickled + p.proto(2) + b"]" + p.STOP


def _nested(data: bytes, depth: int) -> bytes:
    for _ in range(depth):
        data = zipped(("inner.zip", data))
    return data


def _packed() -> Iterator[Case]:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "z": zlib.compress,
    }
    for suffix, pack in packers.items():
        yield f"packed/{suffix}-evil", f"model.pkl.{suffix}", pack(EVIL4)
        yield f"packed/{suffix}-joblib", "model.joblib", pack(EVIL4)
        yield f"packed/{suffix}-bin", "model.bin", pack(EVIL)
        yield f"packed/{suffix}-no-name", "model", pack(EVIL4)
        yield f"packed/{suffix}-twice", f"model.pkl.{suffix}", pack(pack(EVIL4))
        yield f"packed/{suffix}-trailing", f"model.pkl.{suffix}", pack(GOOD) + EVIL4
        yield f"packed/{suffix}-cut", f"model.pkl.{suffix}", pack(GOOD * 50)[:-6]
        yield f"packed/{suffix}-bomb", f"model.txt.{suffix}", pack(b"a" * 60_000_000)
        yield f"packed/{suffix}-tar", f"model.tar.{suffix}", pack(tarred(("model.pkl", EVIL4)))
        yield f"packed/{suffix}-two-members", f"model.pkl.{suffix}", pack(GOOD) + pack(EVIL4)
    yield "packed/lzma-alone", "model.joblib", lzma.compress(EVIL4, lzma.FORMAT_ALONE)
    yield "packed/zstd", "model.zst", b"\x28\xb5\x2f\xfd" + bytes(30)
    yield "packed/lz4", "model.joblib", b"\x04\x22\x4d\x18" + bytes(30)
    yield "packed/rar", "model.rar", b"Rar!\x1a\x07\x01\0" + bytes(30)
    yield "packed/7z-broken", "model.7z", b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(40)
    yield "tar/evil", "model.tar", tarred(("model.pkl", EVIL4))
    yield "tar/parent", "model.tar", tarred(("../evil.txt", b"x"))
    yield "tar/absolute", "model.tar", tarred(("/etc/passwd", b"x"))
    yield "tar/symlink", "model.tar", tarred(("link.txt", b""), kind=tarfile.SYMTYPE, target="/etc/passwd")
    yield "tar/hardlink", "model.tar", tarred(("link.txt", b""), kind=tarfile.LNKTYPE, target="/etc/passwd")
    yield "tar/device", "model.tar", tarred(("null", b""), kind=tarfile.CHRTYPE)
    yield "tar/duplicate", "model.tar", tarred(("a.txt", b"x"), ("A.TXT", b"y"))
    yield "tar/trailing", "model.tar", tarred(("a.txt", b"x")) + EVIL4


def _arrays() -> Iterator[Case]:
    good = npy("'<f8'", "(2,)", bytes(16))
    yield "npy/objects", "a.npy", npy("'|O'", "(1,)", EVIL4)
    yield "npy/objects-trailing", "a.npy", npy("'|O'", "(1,)", GOOD + EVIL4)
    yield "npy/trailing", "a.npy", good + EVIL4
    yield "npy/short", "a.npy", good[:-4]
    yield "npy/structure-of-objects", "a.npy", npy("[('a', '|O')]", "(1,)", GOOD)
    yield "npy/header-code", "a.npy", npy("__import__('os').system('id')", "(1,)", bytes(8))
    yield "npy/header-huge", "a.npy", b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 31) + b"{"
    yield "npy/version", "a.npy", npy("'<f8'", "(2,)", bytes(16), b"\x09\0")
    yield "npy/negative", "a.npy", npy("'<f8'", "(-2,)", bytes(16))
    yield "npy/shape-text", "a.npy", npy("'<f8'", "'2'", bytes(16))
    yield "npy/is-a-pickle", "a.npy", EVIL4
    yield "npz/evil", "a.npz", zipped(("a.npy", npy("'|O'", "(1,)", EVIL4)))
    yield "npz/pickle-inside", "a.npz", zipped(("a.npy", good), ("b.pkl", EVIL4))
    yield "npz/renamed-pickle", "a.npz", zipped(("a.npy", EVIL4))


def _formats() -> Iterator[Case]:
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    yield "safetensors/overlap", "m.safetensors", safetensors({"a": tensor, "b": tensor}, bytes(8))
    yield "safetensors/gap", "m.safetensors", safetensors({"a": {**tensor, "data_offsets": [4, 12]}}, bytes(12))
    yield "safetensors/trailing", "m.safetensors", safetensors({"a": tensor}, bytes(8) + EVIL)
    yield "safetensors/short", "m.safetensors", safetensors({"a": tensor}, bytes(4))
    yield "safetensors/header-long", "m.safetensors", safetensors({"a": tensor}, bytes(8), length=1 << 40)
    yield "safetensors/size", "m.safetensors", safetensors({"a": {**tensor, "shape": [1 << 40]}}, bytes(8))
    yield "safetensors/negative", "m.safetensors", safetensors({"a": {**tensor, "shape": [-2]}}, bytes(8))
    yield "safetensors/dtype", "m.safetensors", safetensors({"a": {**tensor, "dtype": "EVIL"}}, bytes(8))
    twice = (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    )
    yield "safetensors/key-twice", "m.safetensors", safetensors({}, bytes(8), text=twice)
    yield "safetensors/is-a-pickle", "m.safetensors", EVIL4
    yield "safetensors/metadata", "m.safetensors", safetensors({"__metadata__": {"a": {"b": 1}}, "a": tensor}, bytes(8))
    for name, body in {
        "lambda": {"class_name": "Lambda", "config": {"function": "x"}},
        "module": {"class_name": "system", "module": "os", "config": {}},
        "function": {"class_name": "function", "module": "builtins", "config": "eval"},
        "get-file": {"class_name": "get_file", "module": "keras.utils", "config": {}},
        "custom": {"class_name": "Evil", "registered_name": "pkg>Evil", "module": None, "config": {}},
        "dunder-lambda": {"class_name": "__lambda__", "config": {"value": "x"}},
        "tfsm": {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp/x"}},
        "torch-wrapper": {"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {}},
        "vocabulary": {"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/passwd"}},
    }.items():
        config = json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": [body]}}).encode()
        yield (
            f"keras/{name}",
            "m.keras",
            zipped(("config.json", config), ("metadata.json", b"{}"), ("model.weights.h5", b"")),
        )
        yield f"keras-json/{name}", "config.json", config
    yield "json/auto-map", "config.json", b'{"auto_map": {"AutoModel": "evil--model.Evil"}}'
    yield "json/twice", "config.json", b'{"a": 1, "a": 2}'
    yield "json/broken", "config.json", b'{"a": '
    for index, template in enumerate(
        (
            "{{ ''.__class__.__mro__ }}",
            "{{ cycler.__init__.__globals__.os.popen('id') }}",
            "{{ x|attr('a') }}",
            "{% import 'os' as os %}",
            "{{ self.x }}",
            "{{ lipsum['x'] }}",
        )
    ):
        yield f"template/{index}", "tokenizer_config.json", json.dumps({"chat_template": template}).encode()
        key, value = b"tokenizer.chat_template", template.encode()
        head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key
        yield f"gguf-template/{index}", "m.gguf", _padded(head + struct.pack("<IQ", 8, len(value)) + value)
    yield from _gguf()
    yield from _messages()
    yield "code/python", "modeling.py", b"import os\nos.system('id')\n"
    yield "code/shell", "run.sh", b"#!/bin/sh\nid\n"
    yield "code/no-suffix", "run", b"#!/usr/bin/env python\n"
    yield "code/library", "libx.so", b"\x7fELF\x02\x01\x01" + bytes(64)
    yield "code/notebook", "a.ipynb", b'{"nbformat": 4, "cells": [{"outputs": [{"text": "x"}]}]}'
    yield "unknown/random", "model.bin", bytes(range(128, 256)) * 4
    yield "unknown/executable", "model", b"MZ" + bytes(200)
    yield "mismatch/pickle-as-text", "readme.md", EVIL4
    yield "mismatch/pickle-as-json", "config.json", EVIL
    yield "mismatch/npy-as-pickle", "model.pkl", npy("'<f8'", "(2,)", bytes(16))
    yield "mismatch/text-as-pickle", "model.pkl", b"just text"
    schema = {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": {}}
    yield "skops/type", "m.skops", zipped(("schema.json", json.dumps(schema).encode()))
    schema = {"__class__": "LinearRegression", "__module__": "sklearn.linear_model._base", "__loader__": "EvilNode"}
    yield "skops/loader", "m.skops", zipped(("schema.json", json.dumps(schema).encode()))
    schema = {
        "__class__": "function",
        "__module__": "builtins",
        "__loader__": "FunctionNode",
        "content": {"module_path": "os", "function": "system"},
    }
    yield "skops/function", "m.skops", zipped(("schema.json", json.dumps(schema).encode()))
    yield "ubjson/cut", "m.ubj", b"{L" + struct.pack(">q", 7) + b"learner{"
    yield "ubjson/length", "m.ubj", b"{L" + struct.pack(">q", 1 << 50) + b"x"
    yield "ubjson/trailing", "m.ubj", b"{i\x01aSi\x01b}" + EVIL
    yield "lightgbm/cut", "m.lgb", b"tree\nversion=v4\n"
    yield "lightgbm/binary", "m.lgb", b"tree\nversion=v4\n\x00\x01\nend of trees\n"
    yield "catboost/size", "m.cbm", b"CBM1" + struct.pack("<I", 1 << 30) + bytes(20)
    yield "catboost/parts", "m.cbm", b"CBM1" + struct.pack("<I", 8) + bytes(8) + EVIL


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)


def _gguf() -> Iterator[Case]:
    def tensor(offset: int, size: int = 8, kind: int = 0, dimensions: int = 1) -> bytes:
        return (
            struct.pack("<Q", 1)
            + b"t"
            + struct.pack("<I", dimensions)
            + struct.pack("<Q", size)
            + struct.pack("<IQ", kind, offset)
        )

    def file(tensors: list[bytes], data: bytes, keys: int = 0) -> bytes:
        return _padded(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), keys) + b"".join(tensors)) + data

    yield "gguf/overlap", "m.gguf", file([tensor(0), tensor(0)], bytes(64))
    yield "gguf/outside", "m.gguf", file([tensor(1 << 40)], bytes(64))
    yield "gguf/huge", "m.gguf", file([tensor(0, 1 << 50)], bytes(64))
    yield "gguf/type", "m.gguf", file([tensor(0, kind=99)], bytes(64))
    yield "gguf/dimensions", "m.gguf", file([tensor(0, dimensions=99)], bytes(64))
    yield "gguf/keys", "m.gguf", file([], b"", keys=1 << 40)
    yield "gguf/cut", "m.gguf", b"GGUF\x03\0\0\0"
    yield "gguf/version", "m.gguf", b"GGUF" + struct.pack("<IQQ", 77, 0, 0)
    yield "gguf/trailing", "m.gguf", file([tensor(0)], bytes(64) + EVIL)


def message(*fields: tuple[int, bytes | int]) -> bytes:
    """A message of protocol buffers."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return out


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def onnx_model(*nodes: bytes, tensors: tuple[bytes, ...] = (), domain: bytes = b"") -> bytes:
    graph = message(*((1, node) for node in nodes), *((5, tensor) for tensor in tensors), (2, b"g"))
    return message((1, 9), (7, graph), (8, message((1, domain), (2, 18))))


def _messages() -> Iterator[Case]:
    relu = message((1, b"x"), (2, b"y"), (4, b"Relu"))

    def outside(place: bytes) -> bytes:
        return message((1, 2), (2, 1), (8, b"w"), (13, message((1, b"location"), (2, place))), (14, 1))

    for name, place in {
        "absolute": b"/etc/passwd",
        "parent": b"../../secret",
        "missing": b"weights.bin",
        "home": b"~/x",
        "url": b"http://x/y",
        "backslash": b"..\\x",
        "empty": b"",
    }.items():
        yield f"onnx/external-{name}", "m.onnx", onnx_model(relu, tensors=(outside(place),))
    yield "onnx/custom-domain", "m.onnx", onnx_model(message((4, b"Evil"), (7, b"evil.ops")))
    yield "onnx/custom-opset", "m.onnx", onnx_model(relu, domain=b"evil.ops")
    yield "onnx/python-op", "m.onnx", onnx_model(message((4, b"PythonOp"), (7, b"com.microsoft")))
    hidden = message((1, b"body"), (6, message((1, message((4, b"Evil"), (7, b"evil.ops"))))), (20, 5))
    yield "onnx/in-subgraph", "m.onnx", onnx_model(message((4, b"If"), (5, hidden)))
    held = message((1, b"value"), (5, outside(b"/etc/passwd")), (20, 4))
    yield "onnx/in-attribute", "m.onnx", onnx_model(message((4, b"Constant"), (5, held)))
    yield "onnx/cut", "m.onnx", onnx_model(relu)[:-4]
    yield "onnx/no-graph", "m.onnx", message((1, 9))
    yield "onnx/is-a-pickle", "m.onnx", EVIL4

    def saved(*operators: bytes, inside: bool = False) -> bytes:
        nodes = [message((1, b"n"), (2, operator)) for operator in operators]
        graph = message(*((1, node) for node in nodes))
        if inside:
            graph = message((2, message((1, message(*((3, node) for node in nodes))))))
        return message((1, 1), (2, message((2, graph))))

    for operator in ("ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "MatchingFiles", "Evil>Op", "DebugIdentityV2"):
        yield f"saved-model/{operator}", "saved_model.pb", saved(b"Const", operator.encode())
        yield f"saved-model-function/{operator}", "saved_model.pb", saved(operator.encode(), inside=True)
    yield "saved-model/cut", "saved_model.pb", saved(b"Const")[:-3]
    yield "saved-model/empty", "saved_model.pb", message((1, 1))
    yield "saved-model/keras-lambda", "keras_metadata.pb", b'\n\x20{"class_name": "Lambda", "config": {}}'
