"""Metrics by Keras's names, and some for forecasts: values over all batches since the last reset."""

# ruff: noqa: F403, F405
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pyrnn import losses, registry
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.metrics.accuracy import *
from pyrnn.metrics.auc import *
from pyrnn.metrics.base import *
from pyrnn.metrics.confusion import *
from pyrnn.metrics.errors import *
from pyrnn.metrics.functions import *
from pyrnn.metrics.functions import FUNCTIONS, described
from pyrnn.metrics.means import *
from pyrnn.metrics.scores import *
from pyrnn.naming import snake_case
from pyrnn.rules import Configurable, Unchecked
from pyrnn.typing import CustomObjects
from pyrnn.validation import lookup, shown

CLASSES = registry.classes_in(globals(), Metric, MeanMetric, MeanMetricWrapper)
NAMES: dict[str, type[Metric]] = registry.by_name(
    CLASSES, lambda cls: snake_case(cls.__name__), lambda cls: cls.default_name or cls.__name__
)
globals().update(OF_LOSSES)

# In any case of letters; the shapes of the first batch say which metric is meant.
BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")

MetricsLike = Annotated[Sequence[Any] | Mapping[str, Any] | None, Unchecked(allowed="list dict")]


def get(identifier: Any) -> Any:
    """Return the metric for a name, a description, a class, an object or a function.

    Args:
        identifier: The name ("mae"), a dictionary that `serialize` returned, a `Metric` or its class, a loss, a custom
            function of (y_true, y_pred), which `MeanMetricWrapper` wraps, or None.

    Returns:
        The metric; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown, or ("accuracy") depends on the shapes of y.

    Example:
        >>> pyrnn.metrics.get("mae").name
        'mean_absolute_error'
    """
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
    """Raise an error if a metric was passed as a loss.

    Args:
        identifier: What was passed: a name, a class or an object.

    Raises:
        ValueError: If it is a metric.

    Example:
        >>> pyrnn.metrics.reject_as_loss("r2_score")
        Traceback (most recent call last):
            ...
        ValueError: loss 'r2_score' is a metric: pass it in metrics=[...] and train on a loss
    """
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
    """Return Keras's name of a metric that is a function, a loss or another callable object.

    Args:
        function: The function or object.

    Returns:
        Its `name`, or the snake-case form of its `__name__` or class.

    Example:
        >>> pyrnn.metrics.name_of(pyrnn.losses.Hinge())
        'hinge'
    """
    name = getattr(function, "name", None)
    return name if name else snake_case(getattr(function, "__name__", type(function).__name__))


def resolve(name: str, y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> Metric:
    """Return the metric that "accuracy", "acc", "crossentropy" or "ce" means for these shapes.

    Args:
        name: One of these, in any case of letters.
        y_true_shape: Shape of the targets, such as (batch, 1).
        y_pred_shape: Shape of the model's output, such as (batch, classes).

    Returns:
        The binary, categorical or sparse categorical metric, by Keras's rule.

    Example:
        >>> type(pyrnn.metrics.resolve("acc", (32,), (32, 10))).__name__
        'SparseCategoricalAccuracy'
    """
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
def deserialize(
    config: Annotated[Any, Unchecked(allowed="none function")], custom_objects: CustomObjects | None = None
) -> Any:
    """Return the metric for a name or a description.

    Args:
        config: The name, or a dictionary that `serialize` returned.
        custom_objects: Custom classes and functions by name.

    Returns:
        The metric; None for None.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> pyrnn.metrics.deserialize(pyrnn.metrics.serialize(pyrnn.metrics.MeanIoU(2))).num_classes
        2
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)


@checked
def serialize(metric: Annotated[Metric, Configurable()] | None) -> dict[str, Any] | None:
    """Return Keras's description of a metric.

    Args:
        metric: The metric, a function, or None.

    Returns:
        A dictionary that `deserialize` accepts; None for None.

    Raises:
        TypeError: If `metric` is none of these.

    Example:
        >>> pyrnn.metrics.serialize(pyrnn.metrics.AUC())["class_name"]
        'AUC'
    """
    return registry.serialize(metric, "keras.metrics")


if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = registry.exported(__name__, "BY_SHAPE", "CLASSES", "NAMES", "deserialize", "get", "resolve", "serialize")

KINDS["metrics"] = Kind(deserialize, FUNCTIONS, frozenset(NAMES))
losses.REJECTIONS.append(reject_as_loss)
explain(__name__)
