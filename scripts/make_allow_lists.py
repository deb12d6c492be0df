"""Make the packaged allow-lists of the model scan from the packages that are installed here.

    python scripts/make_allow_lists.py            # writes airflow_mlsecops/core/scanning/allow_lists/*.json
    python scripts/make_allow_lists.py --check    # says which lists differ from what is installed

A class goes on a list when making an object of it runs nothing of its own: no ``__new__`` in Python, no ``__del__``, no
``__setattr__`` or ``__getattr__``, and either no ``__setstate__`` or one that was read and stands in ``REVIEWED``.
(SciPy's distributions, for one, run their state through ``exec``.) Functions go on a list only as names: ufuncs,
and those that compute. What needs arguments is in ``reconstructors.py``. A package that isn't installed keeps its list.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "airflow_mlsecops" / "core" / "scanning" / "allow_lists"
Lists = dict[str, dict[str, str]]

REVIEWED = {
    "sklearn.utils.deprecation.deprecated._decorate_class.<locals>.wrapped",
    "torch.nn.modules.module.Module.__getattr__",
    "torch.nn.modules.module.Module.__setattr__",
    "xgboost.core.Booster.__del__",
    "lightgbm.basic.Booster.__del__",
    "sklearn.base.BaseEstimator.__setstate__",
    "sklearn.isotonic.IsotonicRegression.__setstate__",
    "sklearn.frozen._frozen.FrozenEstimator.__getattr__",
    "sklearn.utils._metadata_requests.MetadataRequest.__getattr__",
    "sklearn.gaussian_process.kernels.Kernel.__setstate__",
    "sklearn.utils._bunch.Bunch.__setstate__",
    "sklearn.neighbors._base.NeighborsBase.__setstate__",
    "sklearn.feature_extraction.text.TfidfTransformer.__setstate__",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor.__setstate__",
    "scipy.sparse._coo.coo_matrix.__setstate__",
    "sklearn.linear_model._stochastic_gradient.BaseSGD.__setstate__",
    "torch.nn.modules.module.Module.__setstate__",
    "torch.nn.modules.activation.MultiheadAttention.__setstate__",
    "torch.nn.modules.activation.GELU.__setstate__",
    "torch.nn.modules.activation.Softmin.__setstate__",
    "torch.nn.modules.activation.Softmax2d.__setstate__",
    "torch.nn.modules.activation.Softmax.__setstate__",
    "torch.nn.modules.activation.LogSoftmax.__setstate__",
    "torch.nn.modules.conv._ConvNd.__setstate__",
    "torch.nn.modules.rnn.RNNBase.__setattr__",
    "torch.nn.modules.rnn.RNNBase.__setstate__",
    "torch.nn.modules.transformer.TransformerEncoderLayer.__setstate__",
    "torch.nn.modules.transformer.TransformerDecoderLayer.__setstate__",
    "torch.nn.modules.upsampling.Upsample.__setstate__",
    "xgboost.core.Booster.__setstate__",
    "lightgbm.basic.Booster.__setstate__",
}
COMPUTING = (
    "cluster",
    "covariance",
    "decomposition",
    "ensemble",
    "feature_extraction",
    "feature_selection",
    "gaussian_process",
    "linear_model",
    "manifold",
    "metrics",
    "neighbors",
    "preprocessing",
    "svm",
)
"""Parts of scikit-learn whose functions compute and nothing else: none opens a file or a process."""
SKIPPED = ("tests", "testing", "_testing", "conftest", "datasets", "externals", "_build_utils", "setup", "callback")
STANDARD = {
    "builtins": {
        "object": "name",
        "set": "call",
        "frozenset": "call",
        "complex": "call",
        "slice": "call",
        "range": "call",
        **dict.fromkeys(("int", "float", "bool", "str", "bytes", "list", "dict", "tuple"), "name"),
        "abs": "name",
        "len": "name",
        "max": "name",
        "min": "name",
        "sum": "name",
    },
    "__builtin__": {
        "object": "name",
        "set": "call",
        "frozenset": "call",
        "complex": "call",
        "slice": "call",
        "xrange": "call",  # what range is called in protocols 0 to 2
        **dict.fromkeys(("int", "float", "bool", "list", "dict", "tuple"), "name"),
    },
    "collections": {"OrderedDict": "new call", "defaultdict": "call", "Counter": "call", "deque": "call"},
    "datetime": dict.fromkeys(("date", "datetime", "time", "timedelta", "timezone"), "call"),
    "decimal": {"Decimal": "call"},
    "fractions": {"Fraction": "call"},
    "uuid": {"UUID": "new", "SafeUUID": "call"},
}


def modules_of(package: str) -> Iterator[ModuleType]:
    """Every module of the package that can be imported, without its tests."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if any(part in SKIPPED or part.startswith("test") for part in found.name.split(".")):
            continue
        try:
            yield importlib.import_module(found.name)
        except Exception as error:  # some modules need what isn't there; they aren't on the list then
            print(f"  {found.name} can't be imported: {type(error).__name__}", file=sys.stderr)


def in_python(kind: type, name: str) -> bool:
    """Whether the class, or a base, defines this method in Python, and nobody read it."""
    value = inspect.getattr_static(kind, name, None)
    value = getattr(value, "__func__", value)
    if inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}" not in REVIEWED
    return isinstance(value, property)


def is_inert(kind: type) -> bool:
    """Whether making an object of the class, and setting its state, runs nothing that wasn't read."""
    if issubclass(kind, (type, BaseException)):
        return False
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return not in_python(kind, "__del__")  # a named tuple, whose __new__ only fills it
    if any(in_python(kind, name) for name in ("__new__", "__del__", "__setattr__", "__getattr__", "__getattribute__")):
        return False
    state = inspect.getattr_static(kind, "__setstate__", None)
    if inspect.isfunction(state):
        return f"{state.__module__}.{state.__qualname__}" in REVIEWED
    return state is None or callable(state)  # of a compiled class


def is_compiled(kind: type) -> bool:
    """Whether it is an extension type with a ``__reduce__`` of its own, which calls the class."""
    reduce = inspect.getattr_static(kind, "__reduce__")
    return not kind.__flags__ & 1 << 9 and reduce is not object.__reduce__


def classes(package: str, wanted: Callable[[type], bool] = lambda _: True) -> Lists:
    """The inert classes of a package, by the module that pickles name."""
    found: Lists = {}
    for module in modules_of(package):
        for name, value in vars(module).items():
            if not isinstance(value, type) or name != value.__name__ or value.__qualname__ != name:
                continue
            if value.__module__ == module.__name__ and is_inert(value) and wanted(value):
                found.setdefault(module.__name__, {})[name] = "call new" if is_compiled(value) else "new"
    return found


def functions(*modules: str) -> Lists:
    """The public functions of these modules, as names, where pickles look for them."""
    found: Lists = {}
    for module in map(importlib.import_module, modules):
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if inspect.isfunction(value) and value.__qualname__ == value.__name__:
                found.setdefault(value.__module__, {})[value.__name__] = "name"
    return found


def computing(package: str) -> Lists:
    """The functions of a package's own modules, as names: parameters, and what estimators keep to call it later."""
    found: Lists = {}
    for module in modules_of(package):
        for name, value in vars(module).items():
            plain = inspect.isfunction(value) and value.__qualname__ == value.__name__ == name
            if plain and value.__module__ == module.__name__:
                found.setdefault(module.__name__, {})[name] = "name"
    return found


def named(kind: type | tuple[type, ...], *modules: str) -> Lists:
    """The objects of this kind in these modules, as names."""
    found: Lists = {}
    for module in map(importlib.import_module, modules):
        names = [name for name, value in vars(module).items() if isinstance(value, kind) and not name.startswith("__")]
        found[module.__name__] = dict.fromkeys(names, "name")
    return found


def merged(*lists: Lists) -> Lists:
    """All uses of all lists."""
    result: Lists = {}
    for item in lists:
        for module, names in item.items():
            for name, uses in names.items():
                known = result.setdefault(module, {}).get(name, "")
                result[module][name] = " ".join(sorted({*known.split(), *uses.split()}))
    return result


def uses(module: str, use: str, *names: str) -> Lists:
    """These names, with this use."""
    return {module: dict.fromkeys(names, use)}


def of_numpy() -> Lists:
    """Arrays, scalar types, ufuncs, generators, polynomials."""
    import numpy

    scalars = [
        name for name, value in vars(numpy).items() if isinstance(value, type) and issubclass(value, numpy.generic)
    ]
    generators = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    ufuncs = [name for name, value in vars(numpy).items() if isinstance(value, numpy.ufunc)]
    return merged(
        uses("numpy", "new", "ndarray", "matrix", "recarray"),
        uses("numpy", "name", *scalars, *ufuncs, "mean", "median", "sum", "std", "var", "ravel", "squeeze"),
        uses("numpy.ma", "new", "MaskedArray"),
        uses("numpy.ma.core", "new", "MaskedArray"),
        uses("numpy.matrixlib.defmatrix", "new", "matrix"),
        *(
            uses(
                f"numpy.random._{name.rstrip('DXSM').lower() if name.startswith('PCG') else name.lower()}", "name", name
            )
            for name in generators
        ),
        uses("numpy.random.bit_generator", "new", "SeedSequence"),
        *(classes("numpy.polynomial", lambda kind: kind.__name__ != "ABCPolyBase") for _ in (0,)),
    )


_MASKED = [f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)]
_IN_PANDAS_2: dict[str, list[str]] = {
    "pandas.core.arrays.arrow.array": ["ArrowExtensionArray"],
    "pandas.core.arrays.boolean": ["BooleanArray", "BooleanDtype"],
    "pandas.core.arrays.categorical": ["Categorical"],
    "pandas.core.arrays.datetimes": ["DatetimeArray"],
    "pandas.core.arrays.floating": ["FloatingArray", "Float32Dtype", "Float64Dtype"],
    "pandas.core.arrays.integer": ["IntegerArray", *_MASKED],
    "pandas.core.arrays.interval": ["IntervalArray"],
    "pandas.core.arrays.numpy_": ["NumpyExtensionArray"],
    "pandas.core.arrays.period": ["PeriodArray"],
    "pandas.core.arrays.sparse.array": ["SparseArray"],
    "pandas.core.arrays.string_": ["StringArray", "StringDtype"],
    "pandas.core.arrays.string_arrow": ["ArrowStringArray"],
    "pandas.core.arrays.timedeltas": ["TimedeltaArray"],
    "pandas.core.dtypes.dtypes": ["ArrowDtype", "SparseDtype"],
}
"""Where pandas 2 said that its public classes were; pandas 3 calls all of them by their public names."""


def of_pandas() -> Lists:
    """Tables, columns, indexes and their arrays."""
    arrays = classes("pandas.core.arrays")
    return merged(
        uses("pandas.core.frame", "new call", "DataFrame"),
        uses("pandas.core.series", "new call", "Series"),
        uses("pandas", "new call", "DataFrame", "Series"),
        uses("pandas.core.internals.managers", "new call", "BlockManager", "SingleBlockManager"),
        *(
            uses(f"pandas.core.indexes.{module}", "new", name)
            for module, name in (
                ("base", "Index"),
                ("range", "RangeIndex"),
                ("multi", "MultiIndex"),
                ("category", "CategoricalIndex"),
                ("datetimes", "DatetimeIndex"),
                ("timedeltas", "TimedeltaIndex"),
                ("period", "PeriodIndex"),
                ("interval", "IntervalIndex"),
            )
        ),
        uses("pandas", "new", "Index", "RangeIndex", "MultiIndex", "CategoricalIndex", "DatetimeIndex"),
        arrays,
        uses(
            "pandas.core.dtypes.dtypes",
            "new call",
            "CategoricalDtype",
            "DatetimeTZDtype",
            "PeriodDtype",
            "IntervalDtype",
        ),
        uses("pandas._libs.internals", "call", "BlockPlacement"),
        uses("pandas.arrays", "new call", *importlib.import_module("pandas.arrays").__all__),
        uses(
            "pandas",
            "new call",
            "Categorical",
            "CategoricalDtype",
            "StringDtype",
            "DatetimeTZDtype",
            "PeriodDtype",
            "IntervalDtype",
        ),
        uses("pandas", "new", "TimedeltaIndex", "PeriodIndex", "IntervalIndex"),
        uses("pandas", "new", *(name for name in vars(importlib.import_module("pandas")) if name.endswith("Dtype"))),
        *(uses(module, "new", *names) for module, names in _IN_PANDAS_2.items()),
        uses("pandas.core.arrays.string_", "call", "StringDtype"),
        uses("pandas", "name", "NA"),
        uses("pandas._libs.missing", "name", "NA"),
        uses("pandas._libs.tslibs.timedeltas", "name", "Timedelta"),
    )


def of_torch() -> Lists:
    """Layers, parameters, storages and dtypes."""
    import torch

    dtypes = [name for name, value in vars(torch).items() if isinstance(value, torch.dtype)]
    storages = [name for name in vars(torch) if name.endswith("Storage") and not name.startswith("_")]
    return merged(
        classes("torch.nn.modules"),
        uses("torch", "name", *dtypes, *storages, "strided"),
        uses("torch.storage", "name", "UntypedStorage"),
        uses("torch.serialization", "name", "_get_layout"),
        # What layers keep as their activation.
        uses("torch.nn.functional", "name", "elu", "leaky_relu", "mish", "relu", "relu6", "selu", "sigmoid", "silu"),
        uses("torch._C._nn", "name", "gelu"),
        uses("torch", "name", "relu", "sigmoid", "tanh"),
    )


PACKAGES: dict[str, Callable[[], Lists]] = {
    "joblib": lambda: uses("joblib.numpy_pickle", "new", "NumpyArrayWrapper"),
    "lightgbm": lambda: merged(
        classes("lightgbm", lambda kind: kind.__module__ in ("lightgbm.sklearn", "lightgbm.basic")),
    ),
    "numpy": of_numpy,
    "pandas": of_pandas,
    "scikit-learn": lambda: merged(
        classes("sklearn"),
        functions("sklearn.metrics", "sklearn.metrics.pairwise", "sklearn.feature_selection", "sklearn.covariance"),
        *(computing(f"sklearn.{name}") for name in COMPUTING),
        uses("sklearn.utils._bunch", "new", "Bunch"),  # its __setattr__ and __getattr__ are those of a dictionary
    ),
    "scipy": lambda: merged(
        classes("scipy.sparse"),
        classes("scipy.interpolate"),
        classes("scipy.spatial"),
        uses("scipy._lib.array_api_compat.numpy._aliases", "name", "asarray"),
        uses("scipy.optimize._optimize", "new", "OptimizeResult"),
        named(type(importlib.import_module("numpy").add), "scipy.special"),
    ),
    "torch": of_torch,
    "xgboost": lambda: classes("xgboost", lambda kind: kind.__module__ in ("xgboost.sklearn", "xgboost.core")),
}


def document(package: str, of: str, lists: Lists) -> str:
    """One list's file."""
    modules = {module: dict(sorted(names.items())) for module, names in sorted(lists.items()) if names}
    value: dict[str, Any] = {"package": package, "version": of, "modules": modules}
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    """Write or compare the lists."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a list differs")
    parser.add_argument("packages", nargs="*", help="only these")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    made = {"python": (f"{sys.version_info.major}.{sys.version_info.minor}", lambda: STANDARD)}
    for package, make in PACKAGES.items():
        try:
            made[package] = (version(package), make)
        except PackageNotFoundError:
            print(f"{package} isn't installed here: its list stays as it is", file=sys.stderr)
    different = 0
    for package, (of, make) in made.items():
        if options.packages and package not in options.packages:
            continue
        text, path = document(package, of, make()), TARGET / f"{package}.json"
        same = path.is_file() and path.read_text() == text
        different += not same
        if not options.check and not same:
            path.write_text(text)
        print(f"{package} {of}: {'same' if same else 'differs' if options.check else 'written'}")
    return 1 if options.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
