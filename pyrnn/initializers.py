"""Weight initializers by Keras's names: called with a shape, they return an array."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry, seeds
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.explaining import explain
from pyrnn.function_rules import Function, Registered
from pyrnn.jsonable import from_plain, to_plain
from pyrnn.kinds import KINDS, Kind
from pyrnn.naming import snake_case
from pyrnn.random.seed_generator import SeedLike
from pyrnn.rules import MOST_AXES, Configurable, Either, ListOf, Rule, Whole
from pyrnn.typing import DtypeLike, Finite, NonNegative, Numbers, Positive, Text
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
    """Base class of initializers: `initializer(shape, dtype=None)` returns an array, float32 by default.

    Example:
        >>> class Halves(pyrnn.initializers.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return np.full(shape, 0.5, dtype or "float32")
        >>> pyrnn.layers.Dense(2, kernel_initializer=Halves()).kernel_initializer((1, 2))
        array([[0.5, 0.5]], dtype=float32)
    """

    # Further names by which `get` finds the class.
    aliases: ClassVar[tuple[str, ...]] = ()

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype)")

    def clone(self) -> Initializer:
        """Return a new initializer with the same configuration.

        Returns:
            The initializer.
        """
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All zeros.

    Example:
        >>> pyrnn.initializers.Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    aliases = ("zero",)

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return np.zeros(shape, dtype or FLOAT)


class Ones(Initializer):
    """All ones.

    Example:
        >>> pyrnn.initializers.Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    aliases = ("one",)

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return np.ones(shape, dtype or FLOAT)


class Constant(Initializer):
    """One value, or an array that broadcasts to the weight's shape, such as pretrained embeddings.

    A file stores an array as Keras does, in JSON: about 20 bytes per number. `Embedding(weights=[array])` sets the
    weights without storing the array.

    Args:
        value: A number, or an array that broadcasts to the shape of the weight.

    Raises:
        TypeError: If `value` does not hold numbers.

    Example:
        >>> pyrnn.initializers.Constant(np.array([1.0, 2.0]))((3, 2))[0]
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
        is_array = isinstance(self.value, np.ndarray)
        return {
            "value": to_plain(self.value, "value of Constant", lambda value, where: value) if is_array else self.value
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        """Make an object of its config.

        Args:
            config: what `get_config` returned, here or in Keras.

        Returns:
            The object.
        """
        return cls(**{name: from_plain(value) for name, value in config.items()})


class _Given(Constant):
    """An array passed in place of an initializer; a file stores it as a Constant."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        if np.shape(self.value) != tuple(shape):
            raise ValueError(
                f"an array as initializer must have the weight's shape {tuple(shape)}, got {np.shape(self.value)}"
            )
        return super().__call__(shape, dtype)


class Identity(Initializer):
    """A multiple of the identity matrix, for shapes (n, m).

    Args:
        gain: The factor.

    Raises:
        TypeError: If `gain` is not a number.

    Example:
        >>> pyrnn.initializers.Identity(2.0)((2, 2))
        array([[2., 0.],
               [0., 2.]], dtype=float32)
    """

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
    """Random values from a generator: the same at each call if `seed` is set, as in Keras."""

    @checked
    def __init__(self, seed: SeedLike | None = None) -> None:
        self.seed = seed

    def _generator(self) -> np.random.Generator:
        return seeds.generator(self.seed)

    def _seed_config(self) -> Any:
        """The seed in a config: an integer, or the description of a `SeedGenerator`."""
        return registry.describe(self.seed) if isinstance(self.seed, seeds.Stream) else self.seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._seed_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Random:
        return cls(**{**config, "seed": registry.with_objects(config.get("seed"), "seed")})


class RandomUniform(_Random):
    """Uniform distribution on [minval, maxval).

    Args:
        minval: Lower end.
        maxval: Upper end.
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.

    Raises:
        TypeError: If `seed` is not an integer.

    Example:
        >>> values = pyrnn.initializers.RandomUniform(0.0, 1.0, seed=1)((1000,))
        >>> bool(0 <= values.min() and values.max() < 1)
        True
    """

    aliases = ("uniform",)

    @checked
    def __init__(self, minval: Finite = -0.05, maxval: Finite = 0.05, seed: SeedLike | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape).astype(dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self._seed_config()}


class RandomNormal(_Random):
    """Normal distribution.

    Args:
        mean: Mean.
        stddev: Standard deviation, at least 0.
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `stddev` is below 0.

    Example:
        >>> values = pyrnn.initializers.RandomNormal(stddev=2.0, seed=1)((10000,))
        >>> bool(1.9 < values.std() < 2.1)
        True
    """

    aliases = ("normal",)

    @checked
    def __init__(self, mean: Finite = 0.0, stddev: NonNegative = 0.05, seed: SeedLike | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape).astype(dtype or FLOAT)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self._seed_config()}


def _truncated_normal(generator: np.random.Generator, shape: Shape) -> Array:
    """Standard normal values within two standard deviations; the others are drawn again."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = generator.standard_normal(int(outside.sum()))
    return values


class TruncatedNormal(RandomNormal):
    """Normal distribution, with values more than two standard deviations from the mean drawn again.

    Args:
        mean: Mean.
        stddev: Standard deviation before truncation, at least 0.
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `stddev` is below 0.

    Example:
        >>> values = pyrnn.initializers.TruncatedNormal(stddev=2.0, seed=1)((10000,))
        >>> bool(abs(values).max() <= 4)
        True
    """

    @checked
    def __call__(self, shape: Shape, dtype: DtypeLike = None) -> Array:
        return (self.mean + self.stddev * _truncated_normal(self._generator(), shape)).astype(dtype or FLOAT)


class VarianceScaling(_Random):
    """Distribution with variance scale / n, where n depends on the shape of the weight.

    The fans are the products of the sizes along `input_axes` and `output_axes`. By default the last axis counts
    outputs, the one before it inputs, and the other axes are the window of a convolution, which counts for both.

    Args:
        scale: Above 0.
        mode: What n is: "fan_in" (inputs), "fan_out" (outputs) or "fan_avg" (their mean).
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is none of these.

    Example:
        >>> values = pyrnn.initializers.VarianceScaling(2.0, "fan_in", seed=1)((100, 100))
        >>> bool(0.019 < values.var() < 0.021)
        True

    Source: Glorot and Bengio 2010, He et al. 2015 and LeCun et al. 1998 are instances of it.
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
        seed: SeedLike | None = None,
        input_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
        output_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
    ) -> None:
        super().__init__(seed)
        if (input_axes is None) != (output_axes is None):
            raise ValueError(f"input_axes and output_axes must be given together, got {input_axes} and {output_axes}")
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

    def for_axes(self, input_axes: Sequence[int], output_axes: Sequence[int]) -> VarianceScaling:
        """Return this initializer for a weight whose layer knows which axes count inputs and outputs.

        Args:
            input_axes: axes of the shape that count inputs.
            output_axes: axes that count outputs.

        Returns:
            An initializer with these axes, or this one if it has axes already.
        """
        if self.input_axes is not None:
            return self
        made = copy.copy(self)
        made.input_axes, made.output_axes = input_axes, output_axes
        return made

    def _fans_of_axes(self, shape: Shape) -> tuple[float, float]:
        fan_in, fan_out = (
            math.prod(shape[axis] for axis in axes or ()) for axes in (self.input_axes, self.output_axes)
        )
        return float(fan_in), float(fan_out)

    def get_config(self) -> dict[str, Any]:
        config = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**super().get_config(), **config, "input_axes": self.input_axes, "output_axes": self.output_axes}


def _fans(shape: Shape) -> tuple[float, float]:
    """Return the inputs and outputs that a weight connects; leading axes are the window of a convolution."""
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
        seed: SeedLike | None = None,
        input_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
        output_axes: Annotated[Sequence[int], ListOf(Whole(-MOST_AXES, MOST_AXES))] | None = None,
    ) -> None:
        super().__init__(*self.RULE, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._seed_config(), "input_axes": self.input_axes, "output_axes": self.output_axes}


class GlorotUniform(_Scaled):
    """Uniform distribution with variance 2 / (fan_in + fan_out).

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.GlorotUniform(seed=1)((100, 100))
        >>> bool(0.0095 < values.var() < 0.0105)
        True

    Source: Glorot and Bengio 2010.
    """

    RULE = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal distribution with variance 2 / (fan_in + fan_out).

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.GlorotNormal(seed=1)((100, 100))
        >>> bool(0.0095 < values.var() < 0.0105)
        True

    Source: Glorot and Bengio 2010.
    """

    RULE = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform distribution with variance 2 / fan_in.

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.HeUniform(seed=1)((100, 100))
        >>> bool(0.019 < values.var() < 0.021)
        True

    Source: He et al. 2015.
    """

    RULE = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal distribution with variance 2 / fan_in.

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.HeNormal(seed=1)((100, 100))
        >>> bool(0.019 < values.var() < 0.021)
        True

    Source: He et al. 2015.
    """

    RULE = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform distribution with variance 1 / fan_in.

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.LecunUniform(seed=1)((100, 100))
        >>> bool(0.0095 < values.var() < 0.0105)
        True

    Source: LeCun et al. 1998.
    """

    RULE = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal distribution with variance 1 / fan_in.

    Args:
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.
        input_axes: Axes of the shape that count inputs, or None for the last but one and those before it.
        output_axes: Axes that count outputs, or None for the last and those before the last but one.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If only one of `input_axes` and `output_axes` is set.

    Example:
        >>> values = pyrnn.initializers.LecunNormal(seed=1)((100, 100))
        >>> bool(0.0095 < values.var() < 0.0105)
        True

    Source: LeCun et al. 1998.
    """

    RULE = (1.0, "fan_in", "truncated_normal")


class Orthogonal(_Random):
    """A multiple of a random orthogonal matrix, the Q of a normal matrix's QR decomposition.

    Args:
        gain: The factor.
        seed: Seed of the values, which are then the same at each call; a `SeedGenerator` or None draws new ones.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> q = pyrnn.initializers.Orthogonal(seed=1)((3, 3))
        >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-6))
        True

    Source: Saxe et al. 2014.
    """

    @checked
    def __init__(self, gain: Finite = 1.0, seed: SeedLike | None = None) -> None:
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
        return {"gain": self.gain, "seed": self._seed_config()}


_CLASSES = registry.classes_in(globals(), Initializer)
# Keras's names in snake case, to be called like the classes.
globals().update({snake_case(cls.__name__): cls for cls in _CLASSES})
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

_NAMES: dict[str, type[Initializer]] = registry.by_name(_CLASSES, lambda cls: snake_case(cls.__name__)) | {
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}


def get(identifier: object) -> Callable[..., Any] | None:
    """Return the initializer for a name, a description, a class, an object, an array or a function.

    Args:
        identifier: The name ("glorot_uniform"), a dictionary that `serialize` returned, an `Initializer` or its class,
            the value of the weight itself as an array of its shape, a function of (shape, dtype), or None.

    Returns:
        The initializer; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown (close matches are suggested) or that of a function that is not registered.

    Example:
        >>> pyrnn.initializers.get("he_normal").mode
        'fan_in'
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
    """Return Keras's description of an initializer; of a function, it holds only the name.

    Args:
        initializer: The initializer, a function, or None.

    Returns:
        A dictionary that `deserialize` accepts; None for None.

    Raises:
        TypeError: If `initializer` is none of these.

    Example:
        >>> pyrnn.initializers.serialize(pyrnn.initializers.Zeros())["class_name"]
        'Zeros'
    """
    if isinstance(initializer, _Given):
        initializer = Constant(initializer.value)
    if initializer is None or hasattr(initializer, "get_config"):
        return registry.serialize(initializer, "keras.initializers")
    return registry.describe_function(initializer, "initializer")


KINDS["initializers"] = Kind(deserialize)
explain(__name__)
