"""Weight initializers by Keras's names: called with a shape, they return an array."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry, seeds
from pyrnn.arguments import checked
from pyrnn.data.batches import as_array
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.naming import snake_case
from pyrnn.rules import MOST_AXES, Configurable, Either, Function, ListOf, Registered, Rule, Whole
from pyrnn.typing import DtypeLike, Finite, NonNegative, Numbers, Positive, Seed, Text
from pyrnn.validation import shown

Array = NDArray[Any]
FLOAT = "float32"


class _Sizes(Rule):
    """The shape of an array: a list of sizes, or one size."""

    allowed = "list zero"

    def check(self, argument: str, value: Any) -> None:
        for size in value if isinstance(value, list | tuple | np.ndarray) else [value]:
            Whole(0).check(argument, size)


Shape = Annotated[Sequence[int], _Sizes()]


class Initializer(registry.Configurable):
    """Base of all: `initializer(shape, dtype=None) -> ndarray`, float32 unless told otherwise."""

    # Further names by which `get` finds the class.
    aliases: ClassVar[tuple[str, ...]] = ()

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        raise NotImplementedError

    def clone(self) -> Initializer:
        """Another one made from the same configuration."""
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All zeros."""

    aliases = ("zero",)

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return np.zeros(shape, dtype or FLOAT)


class Ones(Initializer):
    """All ones."""

    aliases = ("one",)

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return np.ones(shape, dtype or FLOAT)


class Constant(Initializer):
    """All `value`: a number, or an array that broadcasts to the weight's shape, such as pretrained embeddings.

    A file holds an array as Keras writes it, in JSON: about 20 bytes a number. `Embedding(weights=[array])` sets the
    weights alone.

    Example:
        >>> import numpy as np
        >>> from pyrnn import initializers
        >>> initializers.Constant(np.array([1.0, 2.0]))((3, 2))[0]
        array([1., 2.], dtype=float32)
    """

    @checked
    def __init__(self, value: Numbers = 0.0) -> None:
        self.value = value if isinstance(value, int | float | list | tuple) else as_array("value", value)
        if isinstance(self.value, np.ndarray | np.generic) and not self.value.ndim:
            self.value = self.value.item()

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        try:
            return np.full(shape, self.value, dtype or FLOAT)
        except ValueError:
            raise ValueError(
                f"value of Constant must fit the weight's shape {tuple(shape)}, got shape {np.shape(self.value)}"
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class _Given(Constant):
    """The array that a layer is given in place of an initializer; a file has it as a Constant."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        if np.shape(self.value) != tuple(shape):
            raise ValueError(
                f"an array as initializer must have the weight's shape {tuple(shape)}, got {np.shape(self.value)}"
            )
        return super().__call__(shape, dtype)


class Identity(Initializer):
    """`gain` times the identity matrix; shape (n, m)."""

    aliases = ("eye",)

    @checked
    def __init__(self, gain: Finite = 1.0) -> None:
        self.gain = gain

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape must have 2 axes for Identity, got {tuple(shape)}")
        return np.asarray(self.gain * np.eye(shape[0], shape[1]), dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class _Random(Initializer):
    """Draws from a generator of `seed`: the same values at each call if it is given, as in Keras."""

    @checked
    def __init__(self, seed: Seed | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__")):
            raise TypeError(f"seed must be an integer or None, got {shown(seed)}")
        self.seed = seed

    def _generator(self) -> np.random.Generator:
        return seeds.generator(self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomUniform(_Random):
    """Uniform on [minval, maxval)."""

    aliases = ("uniform",)

    @checked
    def __init__(self, minval: Finite = -0.05, maxval: Finite = 0.05, seed: Seed | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape).astype(dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(_Random):
    """Normal of this mean and standard deviation."""

    aliases = ("normal",)

    @checked
    def __init__(self, mean: Finite = 0.0, stddev: NonNegative = 0.05, seed: Seed | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape).astype(dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


def _truncated_normal(generator: np.random.Generator, shape: Shape) -> Array:
    """Standard normal values within two standard deviations; the others are drawn again."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = generator.standard_normal(int(outside.sum()))
    return values


class TruncatedNormal(RandomNormal):
    """Normal, values further than two standard deviations from the mean drawn again."""

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return (self.mean + self.stddev * _truncated_normal(self._generator(), shape)).astype(dtype or FLOAT)


class VarianceScaling(_Random):
    """Scales the variance to scale / n, n the fan of the weight's shape by `mode`.

    The fans are the products of the sizes along `input_axes` and `output_axes`; without them the last axis counts
    outputs, the one before it inputs, and all others the window of a convolution.

    Source: Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998 are instances of it.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
    # Standard deviation of a standard normal cut at two standard deviations.
    TRUNCATED_STDDEV = 0.87962566103423978

    @checked
    def __init__(
        self,
        scale: Positive = 1.0,
        mode: Text = "fan_in",
        distribution: Text = "truncated_normal",
        seed: Seed | None = None,
        input_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
        output_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
    ) -> None:
        super().__init__(seed)
        if (input_axes is None) != (output_axes is None):
            raise ValueError(f"input_axes and output_axes must be given together, got {input_axes} and {output_axes}")
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale}")
        if mode not in self.MODES:
            raise ValueError(f"mode must be one of {', '.join(self.MODES)}, got {shown(mode)}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in self.DISTRIBUTIONS:
            raise ValueError(f"distribution must be one of {', '.join(self.DISTRIBUTIONS)}, got {shown(distribution)}")
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        fan_in, fan_out = _fans(shape) if self.input_axes is None else self._fans_of_axes(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return generator.uniform(-limit, limit, shape).astype(dtype or FLOAT)
        if self.distribution == "untruncated_normal":
            return (math.sqrt(variance) * generator.standard_normal(shape)).astype(dtype or FLOAT)
        return (math.sqrt(variance) / self.TRUNCATED_STDDEV * _truncated_normal(generator, shape)).astype(
            dtype or FLOAT
        )

    def _fans_of_axes(self, shape: Shape) -> tuple[float, float]:
        fan_in, fan_out = (
            math.prod(shape[axis] for axis in axes or ()) for axes in (self.input_axes, self.output_axes)
        )
        return float(fan_in), float(fan_out)

    def get_config(self) -> dict[str, Any]:
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**super().get_config(), **own, "input_axes": self.input_axes, "output_axes": self.output_axes}


def _fans(shape: Shape) -> tuple[float, float]:
    """Inputs and outputs a weight of this shape connects; leading axes are the window of a convolution."""
    if len(shape) < 2:
        n = float(math.prod(shape))
        return n, n
    window = math.prod(shape[:-2])
    return float(window * shape[-2]), float(window * shape[-1])


class _Scaled(VarianceScaling):
    """A named instance of VarianceScaling."""

    RULE: tuple[float, str, str]

    @checked
    def __init__(
        self,
        seed: Seed | None = None,
        input_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
        output_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
    ) -> None:
        super().__init__(*self.RULE, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out). Source: Glorot and Bengio 2010."""

    RULE = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance 2 / (fan_in + fan_out). Source: Glorot and Bengio 2010."""

    RULE = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in. Source: He et al. 2015."""

    RULE = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance 2 / fan_in. Source: He et al. 2015."""

    RULE = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan_in. Source: LeCun et al. 1998."""

    RULE = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / fan_in. Source: LeCun et al. 1998."""

    RULE = (1.0, "fan_in", "truncated_normal")


class Orthogonal(_Random):
    """`gain` times a random orthogonal matrix (QR of a normal one). Source: Saxe et al. 2014."""

    @checked
    def __init__(self, gain: Finite = 1.0, seed: Seed | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape must have at least 2 axes for Orthogonal, got {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


_CLASSES = registry.classes_in(globals(), Initializer)
# Keras's names in snake case, to be called like the classes.
globals().update({snake_case(cls.__name__): cls for cls in _CLASSES})
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

_NAMES: dict[str, type[Initializer]] = registry.by_name(_CLASSES, lambda cls: snake_case(cls.__name__)) | {
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}


def get(identifier: object) -> Callable[..., Any] | None:
    """The initializer for a name, a description, a class, an object, an array or a function `f(shape, dtype=None)`.

    None stays None. An array is the value itself: it fits a weight of its shape only.

    Raises:
        TypeError: for anything else.
        ValueError: for an unknown name (close matches are suggested), or of a function that is not registered.
    """
    if isinstance(identifier, np.ndarray | np.generic):
        return _Given(np.asarray(identifier))
    if isinstance(identifier, str) and callable(function := registry.registered_as(identifier)):
        identifier = function
    if callable(identifier) and not isinstance(identifier, type):
        if not isinstance(identifier, Initializer):
            registry.require_kind("initializer", identifier)
        return identifier
    if isinstance(identifier, dict) and registry.is_function(identifier):
        described: Callable[..., Any] = registry.described_function("initializer", identifier)
        return described
    return registry.get("initializer", identifier, _NAMES, Initializer)


InitializerLike = Annotated[
    str | Callable[..., Any] | Mapping[str, Any] | Array | None,
    Registered(get, "shape", named=["dtype"], allowed="none array"),
]
deserialize = get


@checked
def serialize(
    initializer: Annotated[Callable[..., Any], Either(Configurable(), Function(0, 9))] | None,
) -> dict[str, Any] | None:
    """Keras 3's description of an initializer; of a function it has the name only."""
    if isinstance(initializer, _Given):
        initializer = Constant(initializer.value)
    if initializer is None or hasattr(initializer, "get_config"):
        return registry.serialize(initializer, "keras.initializers")
    return registry.describe_function(initializer, "initializer")


KINDS["initializers"] = Kind(deserialize)
explain(__name__)
