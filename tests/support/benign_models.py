"""Ordinary models, made here: every scikit-learn estimator that can be fitted on a small table, saved each usual way.

The corpus is split by the artifact's name, so that what the allow-lists were tuned on isn't what they are measured on.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator
from typing import Any
from zlib import crc32

Saved = tuple[str, bytes]


def half_of(name: str) -> str:
    """``tuning`` or ``held-out``: by the model, not by the way of saving it."""
    return "tuning" if crc32(name.split("/")[0].encode()) % 2 else "held-out"


def fitted_estimators() -> Iterator[tuple[str, Any]]:
    """Each estimator that scikit-learn lists, fitted on whichever small table it takes."""
    import numpy as np
    from sklearn.utils import all_estimators

    rng = np.random.default_rng(7)
    x, positive = rng.normal(size=(40, 4)), rng.integers(1, 5, size=(40, 4)).astype(float)
    labels, numbers = np.array(["no", "yes"] * 20), x[:, 0] * 2 + 1
    text = ["the quick brown fox", "jumps over the lazy dog"] * 20
    attempts: list[tuple[Any, ...]] = [
        (x, labels),
        (positive, labels),
        (x, numbers),
        (positive, numbers),
        (x,),
        (labels,),
        (text,),
        (x, np.column_stack([numbers, numbers])),
        (x, np.array([[0, 1], [1, 0]] * 20)),
        (x[:, 0], numbers),
        ([{"a": 1.0, "b": 2.0}] * 40,),
        (x, x[:, :2]),
    ]
    for name, kind in all_estimators():
        for made in _instances(name, kind):
            for data in attempts:
                try:
                    yield f"{name}", made.fit(*data)
                    break
                except Exception:
                    continue


def _instances(name: str, kind: Any) -> Iterator[Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    arguments: dict[str, dict[str, Any]] = {
        "ColumnTransformer": {"transformers": [("scale", StandardScaler(), [0, 1])]},
        "FeatureUnion": {"transformer_list": [("scale", StandardScaler())]},
        "Pipeline": {"steps": [("scale", StandardScaler()), ("fit", LogisticRegression())]},
        "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}},
        "RandomizedSearchCV": {
            "estimator": LogisticRegression(),
            "param_distributions": {"C": [0.1, 1.0]},
            "n_iter": 2,
        },
        "HalvingGridSearchCV": {"estimator": Ridge(), "param_grid": {"alpha": [0.1, 1.0]}},
        "StackingClassifier": {"estimators": [("a", LogisticRegression())]},
        "StackingRegressor": {"estimators": [("a", Ridge())]},
        "VotingClassifier": {"estimators": [("a", LogisticRegression())]},
        "VotingRegressor": {"estimators": [("a", Ridge())]},
        "SparseCoder": {"dictionary": __import__("numpy").eye(4)},
    }
    try:
        made = kind(**arguments[name]) if name in arguments else kind()
    except TypeError:
        classifier = "Classifier" in name or name in ("ClassifierChain", "SelectFromModel", "RFE", "RFECV")
        try:
            made = kind(LogisticRegression() if classifier else Ridge())
        except Exception:
            return
    small = {"n_estimators": 3, "max_iter": 20}
    if "search" not in name.lower():
        made.set_params(**{key: value for key, value in small.items() if key in made.get_params(deep=False)})
    yield made


def saved(name: str, model: Any) -> Iterator[Saved]:
    """The model's files, each usual way."""
    import joblib

    for protocol in (2, 3, 4, 5):
        yield f"{name}/protocol{protocol}.pkl", pickle.dumps(model, protocol)
    for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)):
        target = io.BytesIO()
        joblib.dump(model, target, compress=compress)
        label = compress[0] if isinstance(compress, tuple) else "plain"
        yield f"{name}/{label}.joblib", target.getvalue()


def sklearn_files() -> Iterator[Saved]:
    """Every fitted estimator's files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in fitted_estimators():
            yield from saved(name, model)


def variants() -> Iterator[tuple[str, Any]]:
    """Models with other parameters than the defaults: a third set, which neither half has anything to do with."""
    import numpy as np
    from sklearn import (
        cluster,
        compose,
        decomposition,
        ensemble,
        feature_selection,
        gaussian_process,
        impute,
        kernel_approximation,
        linear_model,
        manifold,
        metrics,
        mixture,
        model_selection,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        random_projection,
        svm,
        tree,
    )

    rng = np.random.default_rng(11)
    x, k = rng.normal(size=(60, 4)), gaussian_process.kernels
    y, t = (x[:, 0] > 0).astype(int), x[:, 1] * 3
    kernels = [
        k.RBF(2.0),
        k.Matern(nu=2.5) + k.WhiteKernel(),
        k.ConstantKernel() * k.RationalQuadratic(),
        k.DotProduct() ** 2,
        k.ExpSineSquared(),
        k.RBF([1.0] * 4),
    ]
    classifiers: list[Any] = [
        *(svm.SVC(kernel=name) for name in ("linear", "poly", "rbf", "sigmoid")),
        *(linear_model.LogisticRegression(solver=name) for name in ("lbfgs", "liblinear", "newton-cg", "sag", "saga")),
        *(
            linear_model.SGDClassifier(loss=name)
            for name in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron")
        ),
        *(
            neighbors.KNeighborsClassifier(algorithm=name, metric=metric)
            for name in ("ball_tree", "kd_tree", "brute")
            for metric in ("euclidean", "manhattan", "chebyshev")
        ),
        *(tree.DecisionTreeClassifier(criterion=name) for name in ("gini", "entropy", "log_loss")),
        *(ensemble.GradientBoostingClassifier(n_estimators=3, loss=name) for name in ("log_loss", "exponential")),
        *(
            neural_network.MLPClassifier(8, solver=name, max_iter=9, early_stopping=name != "lbfgs")
            for name in ("adam", "sgd", "lbfgs")
        ),
        *(gaussian_process.GaussianProcessClassifier(kernel) for kernel in kernels[:3]),
        ensemble.BaggingClassifier(svm.LinearSVC(), 3),
        ensemble.RandomForestClassifier(3, oob_score=False, class_weight="balanced"),
        ensemble.HistGradientBoostingClassifier(max_iter=3, early_stopping=True),
        naive_bayes.GaussianNB(priors=[0.4, 0.6]),
        model_selection.GridSearchCV(svm.SVC(), {"C": [1, 2]}, scoring="f1"),
        linear_model.LogisticRegression(class_weight={0: 1.0, 1: 2.0}),
        model_selection.GridSearchCV(
            tree.DecisionTreeClassifier(), {"max_depth": [2, None]}, cv=model_selection.KFold(3, shuffle=True)
        ),
        pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(2), linear_model.LogisticRegression()),
        pipeline.make_pipeline(
            preprocessing.PolynomialFeatures(2),
            feature_selection.SelectKBest(feature_selection.f_classif, k=3),
            svm.LinearSVC(),
        ),
        pipeline.make_pipeline(preprocessing.FunctionTransformer(np.tanh), naive_bayes.GaussianNB()),
        compose.make_column_transformer(
            (preprocessing.MinMaxScaler(), [0, 1]), (preprocessing.KBinsDiscretizer(3), [2]), remainder="passthrough"
        ),
        ensemble.VotingClassifier(
            [("a", naive_bayes.GaussianNB()), ("b", tree.DecisionTreeClassifier())], voting="soft"
        ),
        ensemble.StackingClassifier([("a", naive_bayes.GaussianNB())], svm.LinearSVC()),
    ]
    regressors: list[Any] = [
        *(gaussian_process.GaussianProcessRegressor(kernel, alpha=9.0) for kernel in kernels),
        linear_model.Ridge(solver="cholesky"),
        *(
            ensemble.HistGradientBoostingRegressor(max_iter=3, loss=name, **more)
            for name, more in (("squared_error", {}), ("absolute_error", {}), ("quantile", {"quantile": 0.5}))
        ),
        *(
            ensemble.GradientBoostingRegressor(n_estimators=3, loss=name)
            for name in ("squared_error", "huber", "quantile", "absolute_error")
        ),
        *(tree.DecisionTreeRegressor(criterion=name) for name in ("squared_error", "friedman_mse", "absolute_error")),
        *(linear_model.SGDRegressor(loss=name) for name in ("squared_error", "huber", "epsilon_insensitive")),
        linear_model.ElasticNet(positive=True),
        linear_model.RANSACRegressor(),
        linear_model.HuberRegressor(),
        svm.NuSVR(kernel="linear"),
        *(neighbors.RadiusNeighborsRegressor(9, algorithm=name) for name in ("ball_tree", "kd_tree")),
        neighbors.KNeighborsRegressor(weights="distance"),
        compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.sinh, inverse_func=np.arcsinh),
    ]
    others: list[Any] = [
        *(cluster.KMeans(3, algorithm=name, n_init=1) for name in ("lloyd", "elkan")),
        cluster.DBSCAN(algorithm="kd_tree"),
        *(cluster.AgglomerativeClustering(linkage=name) for name in ("ward", "average")),
        mixture.GaussianMixture(2, covariance_type="diag"),
        *(decomposition.PCA(2, svd_solver=name) for name in ("full", "randomized", "arpack")),
        decomposition.KernelPCA(2, kernel="rbf"),
        *(decomposition.FastICA(2, fun=name) for name in ("logcosh", "exp", "cube")),
        manifold.Isomap(n_components=2),
        impute.KNNImputer(),
        impute.SimpleImputer(strategy="median"),
        preprocessing.QuantileTransformer(n_quantiles=9),
        preprocessing.PowerTransformer(),
        preprocessing.SplineTransformer(4),
        kernel_approximation.Nystroem(n_components=5),
        random_projection.SparseRandomProjection(2),
        preprocessing.Normalizer(),
        neighbors.KernelDensity(kernel="tophat"),
        neighbors.LocalOutlierFactor(novelty=True),
        ensemble.IsolationForest(n_estimators=5, max_samples=9),
        svm.OneClassSVM(gamma=0.1),
    ]
    scorers = [metrics.make_scorer(metrics.fbeta_score, beta=2), metrics.get_scorer("roc_auc")]
    for index, model in enumerate(classifiers):
        yield f"variant-c{index}-{type(model).__name__}", model.fit(x, y)
    for index, model in enumerate(regressors):
        yield f"variant-r{index}-{type(model).__name__}", model.fit(x, t)
    for index, model in enumerate(others):
        yield f"variant-o{index}-{type(model).__name__}", model.fit(x)
    for index, scorer in enumerate(scorers):
        yield f"variant-s{index}-scorer", scorer
    for index, generator in enumerate(
        (np.random.RandomState(3), np.random.default_rng(3), np.random.Generator(np.random.MT19937(3)))
    ):
        yield f"variant-g{index}-generator", generator
