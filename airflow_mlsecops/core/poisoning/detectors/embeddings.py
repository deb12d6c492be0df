"""Two looks at embeddings of a model, given by the user: spectral signatures and activation clustering.

Both look within each label. They find crude backdoors in deep models' embeddings and fail on tables and on classes
of unlike size; they report on their own and have no say in the verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.dense import dense
from airflow_mlsecops.core.poisoning.detectors.detection import Detection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPECTRAL, ACTIVATIONS = "spectral-signatures", "activation-clustering"
_LEAST = 20
_FAR = 5.0
SMALL = 0.35
SILHOUETTE = 0.25


def spectral_signatures(embeddings: NDArray[np.float64], labels: NDArray[np.int64]) -> Detection:
    """Rows far out along the direction in which their class varies most.

    Tran, Li, Madry: "Spectral Signatures in Backdoor Attacks", NeurIPS 2018: the score is the squared projection of the
    centred embedding on the top right singular vector. Flagged are scores more than ``_FAR`` robust deviations above
    the class's median, instead of a share that somebody has to guess.

    Raises:
        DataError: if embeddings are no array of finite numbers with a line for each label.
    """
    import numpy as np

    embeddings = dense(embeddings, "embeddings", rows=len(labels))
    flagged = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < _LEAST:
            continue
        centred = embeddings[rows] - embeddings[rows].mean(axis=0)
        direction = np.linalg.svd(centred, full_matrices=False)[2][0]
        along = np.abs(centred @ direction)
        spread = 1.4826 * float(np.median(np.abs(along - np.median(along))))
        flagged[rows] = along > np.median(along) + _FAR * max(spread, 1e-12)
    message = f"{int(flagged.sum())} rows lie far out along the main direction of their class"
    return Detection(SPECTRAL, flagged, None, message)


def activation_clustering(embeddings: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int = 0) -> Detection:
    """The small one of two clusters of a class, where the two are well apart.

    Chen et al.: "Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering", SafeAI 2019; principal
    components stand in for its independent ones.

    Raises:
        DataError: if embeddings are no array of finite numbers with a line for each label.
    """
    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    embeddings = dense(embeddings, "embeddings", rows=len(labels))
    flagged = np.zeros(len(labels), dtype=bool)
    split = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < _LEAST:
            continue
        part = embeddings[rows]
        reduced = PCA(min(10, *part.shape), svd_solver="full").fit_transform(part)
        with threadpool_limits(limits=1):
            side = KMeans(2, n_init=4, random_state=seed).fit_predict(reduced)
        small = side == np.bincount(side, minlength=2).argmin()
        if not 0 < small.mean() <= SMALL:
            continue
        score = float(silhouette_score(reduced, side, sample_size=min(1000, len(rows)), random_state=seed))
        if score >= SILHOUETTE:
            flagged[rows[small]] = True
            split.append({"label": int(label), "rows": int(small.sum()), "silhouette": round(score, 6)})
    message = f"{int(flagged.sum())} rows form small clusters of their own within {len(split)} classes"
    return Detection(ACTIVATIONS, flagged, None, message, {"classes": split[:100]})
