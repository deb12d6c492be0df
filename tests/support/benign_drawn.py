"""Ordinary models that are drawn at random: their parameters, data, nestings, dtypes, and how they are saved.

Every scikit-learn estimator gets parameters that its own constraints allow, and learns from one of the data sets that
come with scikit-learn, as an array or as a table. ``seed`` names a corpus: what one was measured on once, and mended
for, is no longer held out, and another seed is.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import io
import itertools
import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec
from typing import Any
from zlib import crc32

Saved = tuple[str, bytes]
DRAWN_SEED = 60917
"""The corpus that was drawn after everything that the one before it showed was mended."""
DRAWS = 3
ATTEMPTS = 6
WAYS_EACH = 3
_ROWS = 60
_SLOW = {"n_estimators": 4, "max_iter": 25, "n_init": 2, "n_iter": 3, "max_iters": 5, "n_components": 2, "n_jobs": None}
_QUIET = {"verbose": 0}


def drawn_files(seed: int, *, part: Callable[[str], bool] = lambda _: True) -> Iterator[Saved]:
    """The whole corpus.

    Args:
        seed: which corpus.
        part: which models to make, by name; by default all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in itertools.chain(drawn_estimators(seed, part=part), nested(seed), values(seed)):
            if part(name):
                yield from saved_somehow(name, model, seed)


def _chance(seed: int, name: str) -> random.Random:
    return random.Random(crc32(f"{seed}/{name}".encode()))


def drawn_estimators(seed: int, *, part: Callable[[str], bool] = lambda _: True) -> Iterator[tuple[str, Any]]:
    """Each estimator that scikit-learn lists, some times, with parameters that were drawn."""
    import numpy as np
    from sklearn.utils import all_estimators

    for name, kind in all_estimators():
        for draw in range(DRAWS):
            called = f"{name}-{draw}"
            if not part(called):
                continue
            chance = _chance(seed, called)
            for _ in range(ATTEMPTS):
                np.random.seed(chance.randrange(2**31))
                made = _fitted(kind, chance)
                if made is not None:
                    yield called, made
                    break


def _fitted(kind: Any, chance: random.Random) -> Any:
    try:
        made = _made(kind, chance)
        known = made.get_params(deep=False)
        given = {key: _drawn(rule, chance) for key, rule in getattr(kind, "_parameter_constraints", {}).items()}
        chosen = {key: value for key, value in given.items() if value is not _NOTHING and chance.random() < 0.4}
        made.set_params(**{key: value for key, value in {**chosen, **_SLOW, **_QUIET}.items() if key in known})
    except Exception:
        return None
    for data in _data(chance):
        try:
            return made.fit(*data)
        except Exception:
            continue
    return None


def _made(kind: Any, chance: random.Random) -> Any:
    """An estimator, around others if it needs some."""
    from sklearn.linear_model import ElasticNet, SGDClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    classifier = chance.choice([GaussianNB(), DecisionTreeClassifier(max_depth=3), SGDClassifier(loss="log_loss")])
    regressor = chance.choice([ElasticNet(0.3), DecisionTreeRegressor(max_depth=3)])
    name, one = kind.__name__, classifier if chance.random() < 0.6 else regressor
    scaled = make_pipeline(RobustScaler(), one)
    special: dict[str, dict[str, Any]] = {
        "ColumnTransformer": {"transformers": [("a", RobustScaler(), [0, 2]), ("b", "passthrough", slice(1, 2))]},
        "FeatureUnion": {"transformer_list": [("a", RobustScaler()), ("b", RobustScaler(quantile_range=(5.0, 95.0)))]},
        "Pipeline": {"steps": [("inner", scaled)]},
        "StackingClassifier": {"estimators": [("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=2))]},
        "StackingRegressor": {"estimators": [("a", ElasticNet()), ("b", DecisionTreeRegressor(max_depth=2))]},
        "VotingClassifier": {"estimators": [("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=2))]},
        "VotingRegressor": {"estimators": [("a", ElasticNet()), ("b", DecisionTreeRegressor(max_depth=2))]},
        "SparseCoder": {"dictionary": __import__("numpy").eye(4)[:3]},
    }
    if name in special:
        return kind(**special[name])
    searches = {"param_grid": {"max_depth": [1, 2]}, "param_distributions": {"max_depth": [1, 2, 3]}}
    for argument, choices in searches.items():
        if "Search" in name and (argument == "param_grid") == ("Grid" in name):
            return kind(DecisionTreeClassifier(), **{argument: choices}, scoring=chance.choice([None, "accuracy"]))
    try:
        return kind()
    except TypeError:
        return kind(chance.choice([one, classifier, regressor]))


_NOTHING = object()


def _drawn(rules: Any, chance: random.Random) -> Any:
    """A value that one of a parameter's constraints allows; a mark if none can be drawn."""
    from numbers import Integral

    choices: list[Any] = []
    for rule in rules if isinstance(rules, list) else []:
        kind = type(rule).__name__
        if kind in ("StrOptions", "Options"):
            choices += sorted(set(rule.options) - set(getattr(rule, "deprecated", ())), key=str)
        elif kind == "Interval":
            low = rule.left if rule.left is not None and rule.left > -1e6 else 0
            high = rule.right if rule.right is not None and rule.right < 1e6 else low + 5
            whole = issubclass(Integral, rule.type) or rule.type is Integral
            choices.append(
                chance.randint(int(low) + 1, max(int(high), int(low) + 1))
                if whole
                else low + (high - low) * chance.uniform(0.05, 0.9)
            )
        elif rule == "boolean":
            choices += [True, False]
        elif rule == "random_state":
            choices.append(chance.randrange(1000))
        elif rule is None:
            choices.append(None)
    return chance.choice(choices) if choices else _NOTHING


def _data(chance: random.Random) -> list[tuple[Any, ...]]:
    """What an estimator may take, from one of scikit-learn's own data sets."""
    import numpy as np
    import scipy.sparse
    from sklearn import datasets

    load = chance.choice([datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer, datasets.load_diabetes])
    bunch = load(as_frame=True)
    rows = np.random.default_rng(chance.randrange(2**31)).permutation(len(bunch.data))[:_ROWS]
    table, target = bunch.data.iloc[rows, :4], bunch.target.iloc[rows].to_numpy()
    numbers = target.astype(float) + table.to_numpy()[:, 0]
    labels = np.array(["low", "high"])[(numbers > np.median(numbers)).astype(int)]
    x: Any = table.to_numpy()
    kind = chance.choice(["table", "array", "float32", "sparse", "fortran"])
    x = {
        "table": table.reset_index(drop=True),
        "array": x,
        "float32": x.astype(np.float32),
        "sparse": scipy.sparse.csr_array(x),
        "fortran": np.asfortranarray(x),
    }[kind]
    text = [f"the {word} fox {index % 7}" for index, word in enumerate(["red", "lazy", "quick"] * 20)]
    plain, pairs = table.to_numpy(), np.array([[0, 1], [1, 0], [1, 1]] * 20)
    positive = np.abs(plain) + 0.1
    return [
        (x, labels), (positive, labels), (x, numbers), (positive, numbers), (x,), (labels,), (text,),
        (x, np.column_stack([numbers, numbers * 2])), (positive, pairs), (plain[:, 0], numbers),
        ([{"a": 1.0, "b": "u"}, {"a": 2.0}] * 30,), (plain, positive[:, :2]),
    ]  # fmt: skip


def nested(seed: int) -> Iterator[tuple[str, Any]]:
    """Pipelines of pipelines, searches over them, calibrated and chained ones, and models among other things."""
    import numpy as np
    from sklearn import config_context, datasets
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, StackingClassifier
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
    from sklearn.feature_selection import SelectFromModel, SelectPercentile, mutual_info_classif
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, PassiveAggressiveRegressor, RidgeCV
    from sklearn.metrics import make_scorer, matthews_corrcoef
    from sklearn.model_selection import (
        FixedThresholdClassifier,
        RandomizedSearchCV,
        RepeatedStratifiedKFold,
        TunedThresholdClassifierCV,
    )
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.multioutput import ClassifierChain, MultiOutputRegressor
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
    from sklearn.svm import SVC

    wine = datasets.load_wine(as_frame=True)
    two = wine.target.to_numpy() > 0
    table = wine.data.iloc[:, :5].assign(kind=wine.data.iloc[:, 5].gt(2).map({True: "a", False: "b"}))
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]),
    )
    digits = datasets.load_digits()
    words = ["fine day", "bad day", "fine night", "bad night"] * 8
    good = np.array([1, 0, 1, 0] * 8)
    x, many = digits.data[:150], digits.target[:150]
    yield "columns", make_pipeline(columns, LogisticRegression()).fit(table, two)
    yield "columns-in-search", RandomizedSearchCV(
        make_pipeline(columns, ExtraTreesClassifier(5)), {"extratreesclassifier__max_depth": [2, 3, None]}, n_iter=2,
        scoring=make_scorer(matthews_corrcoef), cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=1),
    ).fit(table, two)  # fmt: skip
    yield (
        "pipeline-of-pipelines",
        make_pipeline(
            make_pipeline(make_pipeline(StandardScaler()), PCA(8)), make_pipeline(SVC(probability=False))
        ).fit(x, many),
    )
    yield (
        "calibrated",
        CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=2, method="isotonic").fit(x, many % 2),
    )
    yield (
        "stack-of-pipelines",
        StackingClassifier(
            [
                ("p", make_pipeline(StandardScaler(), LogisticRegression())),
                ("t", HistGradientBoostingClassifier(max_iter=3)),
            ],
            cv=2,
        ).fit(x, many % 2),
    )
    yield (
        "chain",
        ClassifierChain(LogisticRegression(), order="random", random_state=seed).fit(
            x, np.column_stack([many % 2, many > 4])
        ),
    )
    yield "one-vs-rest", OneVsRestClassifier(make_pipeline(StandardScaler(), SVC())).fit(x, many)
    yield "multi-output", MultiOutputRegressor(PassiveAggressiveRegressor()).fit(x, x[:, 10:12])
    yield "target", TransformedTargetRegressor(RidgeCV(), func=np.log1p, inverse_func=np.expm1).fit(x, many)
    yield (
        "union",
        FeatureUnion([("pca", PCA(3)), ("k", SelectPercentile(mutual_info_classif, percentile=20))]).fit(x, many),
    )
    yield (
        "words",
        make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), TruncatedSVD(2), LogisticRegression()).fit(words, good),
    )
    yield "hashed-words", make_pipeline(HashingVectorizer(n_features=64), LogisticRegression()).fit(words, good)
    yield "from-model", SelectFromModel(ExtraTreesClassifier(4), threshold="median").fit(x, many)
    yield "encoded", make_pipeline(OrdinalEncoder(), LogisticRegression()).fit(table[["kind"]], two)
    yield "target-encoded", TargetEncoder(cv=2).fit(table[["kind"]], two)
    yield "threshold", TunedThresholdClassifierCV(LogisticRegression(), cv=2).fit(x, many % 2)
    yield "fixed-threshold", FixedThresholdClassifier(LogisticRegression(), threshold=0.3).fit(x, many % 2)
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, many)
    yield "pandas-output", make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(table.iloc[:, :5])
    yield (
        "with-facts",
        {"model": scaled, "features": [f"pixel{i}" for i in range(64)], "score": np.float64(0.9), "version": 3},
    )
    yield "list", [scaled, scaled.named_steps["standardscaler"], {"threshold": 0.5}]
    with config_context(enable_metadata_routing=True):
        yield "metadata", LogisticRegression().set_fit_request(sample_weight=True).fit(x, many)


def values(seed: int) -> Iterator[tuple[str, Any]]:
    """Arrays of every dtype and layout, and columns, indexes and tables of pandas' own dtypes."""
    import numpy as np
    import scipy.sparse

    pd: Any = importlib.import_module("pandas")  # its stubs know fewer dtypes than it has
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 100, 24)
    for dtype in (
        "?",
        "i1",
        "<u2",
        ">i4",
        "u8",
        "f2",
        ">f4",
        "f8",
        "c8",
        ">c16",
        "S5",
        "U4",
        "M8[ns]",
        "M8[D]",
        "m8[s]",
        "V3",
    ):
        try:
            array = whole.astype(dtype)
        except TypeError:
            array = np.zeros(24, dtype)
        yield f"array-{np.dtype(dtype).name}-{'big' if dtype[0] == '>' else 'native'}", array.reshape(4, 6)
    record = np.dtype([("id", "<i8"), ("box", "f4", (2, 2)), ("name", "U6"), ("inner", [("a", "?"), ("b", "M8[D]")])])
    yield "array-record", np.zeros(5, record)
    yield "array-aligned", np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    yield "array-titles", np.zeros(3, np.dtype({"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [0, 8]}))
    yield "array-strided", whole.reshape(4, 6)[::2, ::3]
    yield "array-fortran", np.asfortranarray(whole.reshape(4, 6).astype(float))
    yield "array-scalar", np.float32(1.5)
    yield "array-zero-d", np.array(7, "u1")
    yield "array-empty", np.empty((0, 3, 2))
    yield "array-objects", np.array(["a", None, 1.5, (1, 2)], dtype=object)
    yield "array-masked", np.ma.masked_less(whole.astype(float), 50)
    yield "array-read-only", _frozen(whole)
    yield "scalars", [np.int8(3), np.bool_(True), np.str_("x"), np.datetime64("2020-01-01"), np.complex64(1j)]
    yield "dtypes", [np.dtype("f4"), record, np.dtype("M8[us]")]
    for kind in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia"):
        for form in ("array", "matrix"):
            yield f"sparse-{kind}-{form}", getattr(scipy.sparse, f"{kind}_{form}")(np.eye(4))
    plain = [3, 1, 2, None]
    columns: dict[str, Any] = {
        **{name: pd.array(plain, dtype=name) for name in ("Int8", "UInt32", "Int64", "Float32", "Float64")},
        "boolean": pd.array([True, False, None], dtype="boolean"),
        "string-python": pd.array(["a", None], dtype=pd.StringDtype("python")),
        "string-pyarrow": pd.array(["a", None, "b"], dtype=pd.StringDtype("pyarrow")),
        "string-default": pd.Series(["a", "b"]),
        "category": pd.Categorical(["b", "a", "b"], categories=["a", "b"], ordered=True),
        "category-numbers": pd.Categorical([3, 1, 3]),
        "zoned": pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"),
        "zone-named": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
        "naive": pd.date_range("2020", periods=3, freq="h"),
        "delta": pd.to_timedelta([1, 2], unit="s"),
        "period": pd.period_range("2020-01", periods=3, freq="M"),
        "interval": pd.interval_range(0, 3),
        "cut": pd.cut(whole, 3),
        "sparse": pd.arrays.SparseArray([0, 0, 1.0]),
        "arrow-int": pd.array([1, None], dtype="int64[pyarrow]"),
        "arrow-time": pd.array(pd.to_datetime(["2020"]), dtype="timestamp[us][pyarrow]"),
        "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", "y"]),
        "range": pd.RangeIndex(5, name="rows"),
        "timestamp": [pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta("3h"), pd.NaT, pd.NA],
    }  # fmt: skip
    for name, column in columns.items():
        yield f"pandas-{name}", column
        if not isinstance(column, list | pd.Series | pd.MultiIndex):
            yield f"pandas-series-{name}", pd.Series(column, name="c")


def _frozen(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def saved_somehow(name: str, model: Any, seed: int) -> Iterator[Saved]:
    """The model's files, in some of the ways that there are."""
    ways = _ways()
    for way in _chance(seed, f"{name}/way").sample(sorted(ways), WAYS_EACH):
        yield f"{name}/{way}", ways[way](model)


def _pickled(protocol: int, model: Any) -> bytes:
    return pickle.dumps(model, protocol)


def _pickle_in_python() -> Any:
    """Python's own module anew: whatever imported dill has changed the shared one, for the whole process."""
    spec = find_spec("pickle")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ways() -> dict[str, Callable[[Any], bytes]]:
    import joblib

    def dumped(**options: Any) -> Callable[[Any], bytes]:
        def save(model: Any) -> bytes:
            target = io.BytesIO()
            joblib.dump(model, target, **options)
            return target.getvalue()

        return save

    in_python = _pickle_in_python()

    def plain(model: Any) -> bytes:
        target = io.BytesIO()
        in_python._Pickler(target, 4).dump(model)  # it frames in its own way
        return target.getvalue()

    return {
        **{f"protocol{number}.pkl": functools.partial(_pickled, number) for number in (2, 3, 4, 5)},
        "in-python.pkl": plain,
        "packed.pkl.gz": lambda model: gzip.compress(pickle.dumps(model), 9),
        "mapped.joblib": dumped(compress=0),
        "protocol2.joblib": dumped(compress=0, protocol=2),
        **{f"zlib{level}.joblib": dumped(compress=("zlib", level)) for level in (1, 9)},
        "gzip.joblib": dumped(compress=("gzip", 4)),
        "bz2.joblib": dumped(compress=("bz2", 1)),
        "xz.joblib": dumped(compress=("xz", 1)),
        "lzma.joblib": dumped(compress=("lzma", 0)),
    }
