"""Metrics by Keras's names, and those of forecasters: kept over the batches seen since the last reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pyrnn import losses, registry
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from pyrnn.metrics.base import Mean, MeanMetric, MeanMetricWrapper, Metric, Sum
from pyrnn.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from pyrnn.metrics.errors import (
    MASE,
    SMAPE,
    WAPE,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    ZeroSafeMAPE,
)
from pyrnn.metrics.functions import (
    FUNCTIONS,
    OF_LOSSES,
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    described,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from pyrnn.metrics.scores import BinaryIoU, F1Score, FBetaScore, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from pyrnn.naming import snake_case
from pyrnn.rules import Configurable
from pyrnn.typing import CustomObjects
from pyrnn.validation import lookup, shown

CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    Mean,
    Sum,
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
    MASE,
    SMAPE,
    WAPE,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    ZeroSafeMAPE,
    BinaryIoU,
    F1Score,
    FBetaScore,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
NAMES: dict[str, type[Metric]] = (
    {cls.__name__: cls for cls in CLASSES}
    | {cls.default_name or snake_case(cls.__name__): cls for cls in CLASSES}
    | {snake_case(cls.__name__): cls for cls in CLASSES}
    | {
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "rmse": RootMeanSquaredError, "RMSE": RootMeanSquaredError,
        "log_cosh": LogCoshError, "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "kld": KLDivergence,
        "KLD": KLDivergence, "mase": MASE, "smape": SMAPE, "wape": WAPE,
    }
)  # fmt: skip
globals().update(OF_LOSSES)

__all__ = [
    "AUC",
    "BY_SHAPE",
    "CLASSES",
    "MASE",
    "NAMES",
    "OF_LOSSES",
    "SMAPE",
    "WAPE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "Huber",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "ZeroSafeMAPE",
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "deserialize",
    "get",
    "pearson_correlation",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
# In any case of letters; the shapes of the first batch say which metric is meant.
BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def get(identifier: Any) -> Any:
    """The metric for a name, a description, a class, an object or a function of (y_true, y_pred); None stays None."""
    if isinstance(identifier, str):
        registered = registry.get_registered_object(identifier)
        if registered is None:
            if identifier in BY_SHAPE and identifier not in NAMES:
                raise ValueError(f"{identifier!r} depends on the shapes of y: write compile(metrics=[{identifier!r}])")
            return lookup("metric", identifier, NAMES)()
        identifier = registered
    if registry.is_function(identifier):
        identifier = described(identifier)
    if isinstance(identifier, Mapping) and identifier.get("module") == "keras.losses":
        identifier = losses.deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, losses.Loss):
        identifier = identifier()
    if not callable(identifier) or isinstance(identifier, type | Metric):
        identifier = registry.get("metric", identifier, {**NAMES, "MeanMetricWrapper": MeanMetricWrapper}, Metric)
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if identifier is losses.FUNCTIONS["zero_safe_mape"]:  # leaves samples out of the mean, as no function can
        return ZeroSafeMAPE()
    metric = MeanMetricWrapper(identifier)
    metric.name = name_of(identifier)
    return metric


def reject_as_loss(identifier: Any) -> None:
    """Raise a ValueError for a metric, by name, class or object, where a loss is expected."""
    if isinstance(identifier, str):
        is_metric, cls = identifier in NAMES or identifier in BY_SHAPE, NAMES.get(identifier)
    else:
        cls = identifier if isinstance(identifier, type) else type(identifier)
        is_metric = issubclass(cls, Metric)
    if is_metric:
        is_root = cls is RootMeanSquaredError
        fix = "train on loss='mse', its square, which is smallest at the same weights" if is_root else "train on a loss"
        raise ValueError(f"loss {shown(identifier)} is a metric: pass it in metrics=[...] and {fix}")


def name_of(function: Any) -> str:
    """Keras's name of a metric that is a function, a loss or another callable object."""
    name = getattr(function, "name", None)
    return name if name else snake_case(getattr(function, "__name__", type(function).__name__))


def resolve(name: str, y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> Metric:
    """The metric that "accuracy", "acc", "crossentropy" or "ce" means for these shapes, by Keras's rule."""
    if y_pred_shape[-1:] == (1,):
        kind = "binary"
    elif len(y_true_shape) < len(y_pred_shape) or (y_true_shape[-1:] == (1,) and y_pred_shape[-1] > 1):
        kind = "sparse_categorical"
    else:
        kind = "categorical"
    metric = NAMES[f"{kind}_{'accuracy' if name.lower() in ('accuracy', 'acc') else 'crossentropy'}"]()
    metric.name = name
    return metric


@checked
def deserialize(config: Any, custom_objects: CustomObjects | None = None) -> Any:
    """The metric for a name or description; `custom_objects` are classes and functions of yours by name."""
    with registry.custom_object_scope(custom_objects):
        return get(config)


@checked
def serialize(metric: Annotated[Metric, Configurable()] | None) -> dict[str, Any] | None:
    """Keras 3's description of a metric."""
    return registry.serialize(metric, "keras.metrics")


KINDS["metrics"] = Kind(deserialize, FUNCTIONS, frozenset(NAMES))
losses.REJECTIONS.append(reject_as_loss)
explain(__name__)
