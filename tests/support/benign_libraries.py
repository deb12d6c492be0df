"""Ordinary models of XGBoost, LightGBM and torch, drawn at random, as far as they are installed.

Each is saved in the ways that its own library has; the boosters, which are scikit-learn estimators too, also in theirs.
"""

from __future__ import annotations

import importlib
import io
import random
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.support.benign_drawn import Saved, saved_somehow

LIBRARIES = ("xgboost", "lightgbm", "torch")
DRAWS = 8
_LAYERS: dict[str, tuple[Any, ...]] = {
    "Linear": (3, 4), "Bilinear": (2, 3, 2), "Identity": (), "Flatten": (),
    "Conv1d": (2, 3, 3), "Conv2d": (2, 3, 3), "Conv3d": (1, 2, 2), "ConvTranspose2d": (2, 3, 3), "Unfold": (2,),
    "MaxPool2d": (2,), "AvgPool1d": (2,), "AdaptiveAvgPool2d": (1,), "AdaptiveMaxPool1d": (2,), "LPPool2d": (2, 2),
    "ZeroPad2d": (1,), "ReflectionPad1d": (1,), "Upsample": (None, 2), "PixelShuffle": (2,),
    "BatchNorm1d": (3,), "BatchNorm2d": (3,), "GroupNorm": (2, 4), "LayerNorm": (4,), "InstanceNorm2d": (3,),
    "RMSNorm": (4,), "LocalResponseNorm": (2,), "ReLU": (), "GELU": (), "SiLU": (), "ELU": (), "PReLU": (),
    "Hardswish": (), "LeakyReLU": (), "Softmax": (1,), "LogSoftmax": (1,), "Sigmoid": (), "Tanh": (), "Mish": (),
    "Softplus": (), "Threshold": (0.1, 0.0), "Dropout": (0.2,), "Dropout2d": (0.1,), "AlphaDropout": (0.2,),
    "Embedding": (5, 3), "EmbeddingBag": (5, 3), "RNN": (3, 4), "LSTM": (3, 4, 2), "GRU": (3, 4), "LSTMCell": (3, 4),
    "MultiheadAttention": (4, 2), "TransformerEncoderLayer": (4, 2, 8), "TransformerDecoderLayer": (4, 2, 8),
    "ConvTranspose1d": (2, 3, 3), "MaxPool1d": (2,), "MaxPool3d": (2,), "FractionalMaxPool2d": (2, 3), "Fold": (4, 2),
    "CircularPad1d": (1,), "ConstantPad2d": (1, 0.5), "ReplicationPad3d": (1,), "PixelUnshuffle": (2,),
    "ChannelShuffle": (2,), "UpsamplingNearest2d": (None, 2), "BatchNorm3d": (3,), "InstanceNorm1d": (3,),
    "SyncBatchNorm": (3,), "CrossMapLRN2d": (2,), "CELU": (), "SELU": (), "GLU": (), "RReLU": (), "Hardtanh": (),
    "Hardsigmoid": (), "LogSigmoid": (), "Softmin": (1,), "Softmax2d": (), "Softshrink": (), "Softsign": (),
    "Tanhshrink": (), "ReLU6": (), "FeatureAlphaDropout": (), "RNNCell": (3, 4), "GRUCell": (3, 4),
    "Transformer": (4, 2, 1, 1, 8), "AdaptiveLogSoftmaxWithLoss": (4, 9, [3, 6]),
    "L1Loss": (), "NLLLoss": (), "KLDivLoss": (), "HuberLoss": (), "SmoothL1Loss": (), "CTCLoss": (),
    "TripletMarginLoss": (), "PoissonNLLLoss": (), "GaussianNLLLoss": (), "MultiMarginLoss": (),
    "HingeEmbeddingLoss": (),
    "CrossEntropyLoss": (), "MSELoss": (), "BCEWithLogitsLoss": (), "CosineSimilarity": (), "PairwiseDistance": (),
}  # fmt: skip
_OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam")


def library_files(seed: int, libraries: Sequence[str] = LIBRARIES) -> Iterator[Saved]:
    """Models of these libraries, or of those among them that are installed."""
    makers = {"xgboost": _xgboost, "lightgbm": _lightgbm, "torch": _torch}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in libraries:
            if find_spec(name) is not None:
                yield from makers[name](importlib.import_module(name), seed)


def _table(chance: random.Random) -> tuple[Any, Any, Any]:
    import numpy as np

    rng = np.random.default_rng(chance.randrange(2**31))
    x = rng.normal(size=(80, 4))
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 1), x[:, 2] * 2


def _written(save: Any, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="mlsecops-drawn-") as folder:
        path = Path(folder) / f"model.{suffix}"
        save(str(path))
        return path.read_bytes()


def _xgboost(xgboost: Any, seed: int) -> Iterator[Saved]:
    kinds = ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker")
    for kind in kinds:
        for draw in range(DRAWS):
            name = f"{kind}-{draw}"
            chance = random.Random(crc32(f"{seed}/{name}".encode()))
            x, labels, numbers = _table(chance)
            plain = "RF" in kind or kind == "XGBRanker"
            model = getattr(xgboost, kind)(
                n_estimators=chance.randint(1, 4), max_depth=chance.randint(1, 4),
                booster="gbtree" if plain else chance.choice(["gbtree", "gblinear", "dart"]),
                tree_method=chance.choice(["hist", "approx"]), grow_policy=chance.choice(["depthwise", "lossguide"]),
                eval_metric=chance.choice([None, "mae", "rmse"]), n_jobs=1,
            )  # fmt: skip
            more = {"qid": [0] * 40 + [1] * 40} if kind == "XGBRanker" else {}
            model.fit(x, numbers if "Regressor" in kind else labels, **more)
            yield from saved_somehow(name, model, seed)
            for suffix in ("json", "ubj"):
                yield f"{name}/model.{suffix}", _written(model.save_model, suffix)


def _lightgbm(lightgbm: Any, seed: int) -> Iterator[Saved]:
    for kind in ("LGBMClassifier", "LGBMRegressor", "LGBMRanker"):
        for draw in range(DRAWS):
            name = f"{kind}-{draw}"
            chance = random.Random(crc32(f"{seed}/{name}".encode()))
            x, labels, numbers = _table(chance)
            boosting = chance.choice(["gbdt", "dart", "rf"])
            model = getattr(lightgbm, kind)(
                n_estimators=chance.randint(1, 4), num_leaves=chance.randint(2, 9), boosting_type=boosting,
                class_weight=chance.choice([None, "balanced"]) if kind == "LGBMClassifier" else None,
                subsample=0.7, subsample_freq=1, min_child_samples=5, n_jobs=1, verbose=-1,
            )  # fmt: skip
            more = {"group": [40, 40]} if kind == "LGBMRanker" else {}
            model.fit(x, numbers if "Regressor" in kind else labels, **more)
            yield from saved_somehow(name, model, seed)
            yield f"{name}/model.txt", _written(model.booster_.save_model, "txt")


def _torch(torch: Any, seed: int) -> Iterator[Saved]:
    torch.manual_seed(seed)
    chance = random.Random(seed)
    layers = {kind: getattr(torch.nn, kind)(*arguments) for kind, arguments in _LAYERS.items()}
    values: dict[str, Any] = {f"layer-{kind}": layer for kind, layer in layers.items()}
    for index in range(2 * DRAWS):
        chosen = [layers[kind] for kind in chance.sample(sorted(layers), 4)]
        made = torch.nn.ModuleList(chosen) if index % 4 == 0 else torch.nn.Sequential(*chosen)
        values |= {f"net-{index}": made, f"state-{index}": made.state_dict()}
    for kind in _OPTIMIZERS:
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        optimizer = getattr(torch.optim, kind)(net.parameters(), lr=0.01)
        net(torch.randn(6, 3)).sum().backward()
        optimizer.step()
        values[f"checkpoint-{kind}"] = {
            "epoch": chance.randint(1, 90), "model": net.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.1,
        }  # fmt: skip
    for kind in ("float64", "float16", "bfloat16", "int8", "uint8", "int64", "bool", "complex64"):
        tensor = torch.zeros(4, 3).to(getattr(torch, kind))
        values |= {f"tensor-{kind}": tensor, f"view-{kind}": tensor.T[1:, ::2]}
    values |= {"empty": torch.empty(0), "shared": [layers["Linear"].weight, layers["Linear"].weight[0]]}
    for name, value in values.items():
        for zipped in (True, False):
            target = io.BytesIO()
            torch.save(value, target, _use_new_zipfile_serialization=zipped)
            yield f"torch-{name}/{'zip' if zipped else 'legacy'}.pt", target.getvalue()
