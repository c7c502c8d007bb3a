"""MultiHeadAttention."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import backend, rules, seeds
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.arrays import as_array
from pyrnn.initializers import InitializerLike
from pyrnn.layers.attention.projection import Projection
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.merging.base import Masks, Merging
from pyrnn.layers.settings import dropout_scale, fraction, standard_shape
from pyrnn.layers.specs import specs_config
from pyrnn.plan import acts_as_in_training
from pyrnn.regularizers import RegularizerLike
from pyrnn.symbols import Symbol
from pyrnn.typing import ArrayLike, Axes, Flag, Omitted, Rate, Seed, Size, SizeLike, Units
from pyrnn.validation import WrongType, shown

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Merging):
    """Attention of several heads, each with projections of its own.

    Called with a query (B, Q, F), a value (B, V, E) and, optionally, a key (B, V, G); the values are the keys if there
    are none. Each head projects them to vectors q and k of `key_dim` and v of `value_dim`, and computes weights =
    softmax(q k^T / sqrt(key_dim)) along the values and weights v. A last projection takes all heads to the output
    (B, Q, F).

    A mask of the query, value or key leaves steps out; so does `attention_mask`, booleans (B, Q, V), or (Q, V) for all
    rows, or (B, heads, Q, V). As in Keras, a query that may read no value gets the mean of all values; with dropout or
    `return_attention_scores` its weights are 0.

    Args:
        num_heads: number of heads, at least 1.
        key_dim: size of a head's queries and keys, at least 1.
        value_dim: size of a head's values, or None for `key_dim`.
        dropout: probability with which training drops a weight, from 0 to 1.
        use_bias: whether the projections have biases.
        output_shape: size of the output's last axis, or a list of the sizes of its last axes; None is F.
        attention_axes: axes of the query along which steps are read, an integer or a list of them; None is all axes but
            the first and the last.
        sliding_window: a query reads only values less than this many steps away, or None for all.
        flash_attention: must be None or False.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernels.
        bias_initializer: name or object of `pyrnn.initializers`, for the biases.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernels, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the biases, or None.
        activity_regularizer: must be None; in Keras it applies to the projections.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernels after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the biases after each step, or None.
        use_gate: whether the averages are multiplied by sigmoid(a projection of the query).
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the shapes of the inputs do not fit.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> query, value = np.ones((1, 2, 3)), np.ones((1, 5, 4))
        >>> attention = layers.MultiHeadAttention(num_heads=2, key_dim=8)
        >>> y, weights = attention(query, value, return_attention_scores=True)
        >>> y.shape, weights.shape
        ((1, 2, 3), (1, 2, 2, 5))

    Source: Vaswani et al. 2017, Attention is all you need.
    """

    supports_masking = True
    least_inputs, most_inputs = 2, 4
    inputs_named = "query, value and key"
    query_dense: Projection
    key_dense: Projection
    value_dense: Projection
    output_dense: Projection

    @checked
    def __init__(
        self,
        num_heads: Units,
        key_dim: Units,
        value_dim: Units | None = None,
        dropout: Rate = 0.0,
        use_bias: Flag = True,
        output_shape: SizeLike | None = None,
        attention_axes: Axes = None,
        sliding_window: Size | None = None,
        flash_attention: Annotated[bool | None, rules.Omitted(False)] = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: Omitted = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        use_gate: Flag = False,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        super().__init__(**kwargs)
        self.num_heads, self.key_dim = num_heads, key_dim
        self.value_dim = key_dim if value_dim is None else value_dim
        self.dropout = fraction("dropout", dropout)
        self.use_bias, self.use_gate = bool(use_bias), bool(use_gate)
        self.attention_axes = _axes(attention_axes)
        self.sliding_window, self.seed = sliding_window, seed
        self._output_sizes: Any = None
        if output_shape is not None:
            sizes = (output_shape,) if isinstance(output_shape, int | np.integer) else output_shape
            self._output_sizes = standard_shape("output_shape", sizes)
            if not sizes or None in self._output_sizes or 0 in self._output_sizes:
                raise ValueError(f"output_shape must hold sizes of at least 1, got {shown(output_shape)}")
        Projection.kernel_spec.read(self, arguments)
        Projection.bias_spec.read(self, arguments)
        self._rng = seeds.generator(seed) if self.dropout else None
        self._workspace = backend.Workspace()
        self._gate_dense: Projection | None = None

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        query, value, key = (*shape, shape[1])[:3] if len(shape) < 3 else shape[:3]
        if len(query) < 3 or not len(query) == len(value) == len(key):
            raise ValueError(
                f"MultiHeadAttention expects inputs query, value and key of shape (batch, time, features), got shapes "
                f"{query}, {value} and {key}"
            )
        if any(None not in sizes and sizes[0] != sizes[1] for sizes in zip(value[1:-1], key[1:-1], strict=True)):
            raise ValueError(
                f"value and key of MultiHeadAttention must have as many steps, got shapes {value} and {key}"
            )
        for axis in self.attention_axes or ():
            if not 0 < axis % len(query) < len(query) - 1 or abs(axis) >= len(query):
                raise ValueError(
                    f"attention_axes must be axes of the query between its first and its last, got "
                    f"{self.attention_axes} for shape {query}"
                )
        if self.built and self.build_shape is not None:
            for name, each, before in zip(("query", "value", "key"), (query, value, key), self._shapes(), strict=True):
                if len(each) != len(before) or each[-1] != before[-1]:
                    raise ValueError(f"MultiHeadAttention expects inputs with a {name} of shape {before}, got {each}")

    def _shapes(self) -> list[Shape]:
        """The shapes of query, value and key that the layer was built for."""
        shapes: Any = self.build_shape
        return [shapes[0], shapes[1], shapes[2] if len(shapes) > 2 else shapes[1]]

    def build(self, input_shape: Any) -> None:
        query, value, key = (*input_shape, input_shape[1])[:3] if len(input_shape) < 3 else input_shape[:3]
        rank = len(query)
        axes = self.attention_axes
        self.attention_axes = tuple(range(1, rank - 1)) if axes is None else tuple(axis % rank for axis in axes)
        # As in Keras, each kernel is drawn by an initializer of its own.
        self.query_dense = self._projection("query", query, (self.num_heads, self.key_dim))
        self.key_dense = self._projection("key", key, (self.num_heads, self.key_dim))
        if self.use_gate:
            self._gate_dense = self._projection("gate", query, (self.num_heads, self.value_dim), "sigmoid")
        self.value_dense = self._projection("value", value, (self.num_heads, self.value_dim))
        heads = (*query[:-1], self.num_heads, self.value_dim)
        self.output_dense = self._projection("attention_output", heads, self._output_sizes or query[-1:], inner=2)
        for _, child in self.children():
            for weight in child.weights:
                weight.path = f"{self.name}/{weight.path}"

    def _projection(
        self, name: str, shape: Shape, sizes: tuple[int, ...], activation: str | None = None, inner: int = 1
    ) -> Projection:
        options = {option: getattr(self, option) for spec in _SPECS for option in spec.options.values()}
        options |= {"use_bias": self.use_bias, "activation": activation, "activity_regularizer": None}
        projection = Projection(options, inner, sizes, name=name, dtype=self.dtype)
        projection.build(shape)
        return projection

    def children(self) -> list[tuple[str, Layer]]:
        if not self.built and not hasattr(self, "output_dense"):
            return super().children()
        gate = [] if self._gate_dense is None else [("_gate_dense", self._gate_dense)]
        projections = [
            ("query_dense", self.query_dense),
            ("key_dense", self.key_dense),
            *gate,
            ("value_dense", self.value_dense),
            ("output_dense", self.output_dense),
        ]
        return self._with_assigned(projections)

    def compute_output_shape(self, input_shape: Any, return_attention_scores: bool = False, **options: Any) -> Any:
        """Return the shape of the output.

        Args:
            input_shape: the shapes of query, value and, optionally, key, batch axis first.
            return_attention_scores: whether the call returns the weights too.
            **options: other options of the call, which do not matter.

        Returns:
            The shape of the output, or a list of it and the shape (B, heads, Q, V) of the weights.
        """
        query, value = input_shape[:2]
        output: Shape = (*query[:-1], *(self._output_sizes or query[-1:]))
        if not return_attention_scores:
            return output
        rank = len(query)
        axes = [axis % rank for axis in self.attention_axes or range(1, rank - 1)]
        free = [query[axis] for axis in range(rank - 1) if axis not in axes]
        read = [[shape[axis] for axis in axes] for shape in (query, value)]
        return [output, (*free, self.num_heads, *read[0], *read[1])]

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask for the next layer.

        Args:
            x: a list of the inputs (B, T, F), which is not read.
            mask: a list of their masks (B, T), or None.

        Returns:
            The mask of the query, or None.
        """
        return None if mask is None else mask[0]

    @checked
    def __call__(  # type: ignore[override]  # Keras's signature
        self,
        query: ArrayLike,
        value: ArrayLike | None = None,
        key: ArrayLike | None = None,
        query_mask: ArrayLike | None = None,
        value_mask: ArrayLike | None = None,
        key_mask: ArrayLike | None = None,
        attention_mask: ArrayLike | None = None,
        return_attention_scores: Flag = False,
        training: Flag | None = None,
        use_causal_mask: Flag = False,
    ) -> Any:
        """Convert and check the inputs, build the layer at first use, and run it.

        Args:
            query: array (B, Q, F) or symbol.
            value: array (B, V, E) or symbol; required.
            key: array (B, V, G) or symbol, or None for `value`.
            query_mask: booleans (B, Q), False for queries that do not count, or None.
            value_mask: booleans (B, V), False for values that do not count, or None.
            key_mask: booleans (B, V), False for keys that do not count, or None.
            attention_mask: booleans (B, Q, V), whether a query may read a value, or a symbol of such an input, or None.
            return_attention_scores: whether to return the weights too.
            training: whether to save what `backward` needs, and to use dropout.
            use_causal_mask: whether query i reads values up to i only.

        Returns:
            The output (B, Q, F), or a tuple of it and the weights (B, heads, Q, V).

        Raises:
            TypeError, ValueError: if an input does not fit.
        """
        if value is None:
            raise WrongType(f"{type(self).__name__} must be called on two inputs, query and value, got no value")
        inputs = [query, value, value if key is None else key]
        kwargs = {"key": key, "attention_mask": attention_mask}
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        flags = {"return_attention_scores": return_attention_scores, "use_causal_mask": use_causal_mask}
        options: dict[str, Any] = {name: True for name, flag in flags.items() if flag}
        kwargs |= options
        if isinstance(attention_mask, Symbol):
            inputs.append(attention_mask)
        elif attention_mask is not None:
            options["attention_mask"] = np.asarray(as_array("attention_mask", attention_mask), bool)
        masks = [query_mask, value_mask, key_mask]
        mask = None if all(each is None for each in masks) else masks
        return self._call_on((query, value), kwargs, inputs, mask, training, options)

    def forward(
        self,
        *xs: Array,
        training: bool = False,
        mask: Masks | None = None,
        attention_mask: Array | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        **options: Any,
    ) -> Any:
        """Compute the output. With `training`, save what `backward` needs.

        Args:
            *xs: query (B, Q, F), value (B, V, E), key (B, V, G) and, optionally, an attention mask (B, Q, V).
            training: whether the pass is part of a training step; dropout acts only then.
            mask: a list of masks (B, Q), (B, V) and (B, V), or None in place of each.
            attention_mask: booleans (B, Q, V), whether a query may read a value, or None.
            return_attention_scores: whether to return the weights too.
            use_causal_mask: whether query i reads values up to i only.
            **options: none.

        Returns:
            The output (B, Q, F), or a tuple of it and the weights (B, heads, Q, V).
        """
        query, value = xs[:2]
        key = xs[2] if len(xs) > 2 else value
        if len(xs) > 3:
            attention_mask = xs[3].astype(bool)
        sizes = self._sizes(query, value)
        masks, causal = self._masks(query, value, mask, attention_mask, use_causal_mask, sizes)
        # The projections are read in place, unless read axes do not follow each other.
        q, k, v = (
            self._by_head(dense.forward(x, training=training))
            for dense, x in ((self.query_dense, query), (self.key_dense, key), (self.value_dense, value))
        )
        factors = None
        if self.dropout and acts_as_in_training(training):
            if self._rng is None:
                self._rng = seeds.generator(self.seed)
            shape = (len(q), self.num_heads, q.shape[1], v.shape[1])
            factors = dropout_scale(self._rng, shape, self.dropout, self.dtype)
        averages, weights = backend.attention_forward(
            q,
            k,
            v,
            additive=None,
            scale=self._scale(),
            masks=masks,
            causal=causal,
            # So high that only the mask matters where a query may read no value.
            penalty=0.7 * float(np.finfo(self.dtype).max),
            zero_unread=bool(return_attention_scores or self.dropout or query.ndim != 3),
            factors=factors,
            need_weights=training or return_attention_scores,
            workspace=self._workspace,
        )
        averages = ungated = self._by_step(averages, query.shape[:-1])
        gate = None
        if self._gate_dense is not None:
            gate = self._gate_dense.forward(query, training=training)
            averages = ungated * gate
        y = self.output_dense.forward(averages, training=training)
        if training:
            self._tape.append(((q, k, v), weights, factors, ungated, gate, [x.shape for x in xs], y.shape))
        if not return_attention_scores:
            return y
        assert weights is not None
        return y, weights.reshape(sizes)

    def backward(self, dy: Array | None, d_weights: Array | None = None, *, need_dx: bool = True) -> Any:
        """Write the gradients of the weights into `weight.gradient` and return those of the inputs.

        Args:
            dy: gradient by the output (B, Q, F), or None for 0.
            d_weights: gradient by the attention weights (B, heads, Q, V), or None for 0.
            need_dx: whether gradients with respect to the inputs are needed.

        Returns:
            A tuple of the gradients by query, value and key, and None for an attention mask; None for each unless
            `need_dx`.
        """
        (q, k, v), weights, factors, ungated, gate, shapes, output_shape = self._take_saved()
        if dy is None:
            dy = np.zeros(output_shape, self.dtype)
        d_averages: Any = self.output_dense.backward(dy)
        dx_gate = None
        if self._gate_dense is not None:
            dx_gate = self._gate_dense.backward(d_averages * ungated, need_dx=need_dx)
            d_averages = d_averages * gate
        if d_weights is not None:
            d_weights = d_weights.reshape(weights.shape)
        d_q, d_k, d_v, _, _ = backend.attention_backward(
            q,
            k,
            v,
            weights,
            self._by_head(d_averages),
            d_weights,
            additive=None,
            scale=self._scale(),
            factors=factors,
            need_d_scale=False,
            workspace=self._workspace,
        )
        gradients: list[Any] = [None] * len(shapes)
        dx_query = self.query_dense.backward(self._by_step(d_q, shapes[0][:-1]), need_dx=need_dx)
        dx_value = self.value_dense.backward(self._by_step(d_v, shapes[1][:-1]), need_dx=need_dx)
        dx_key = self.key_dense.backward(self._by_step(d_k, shapes[1][:-1]), need_dx=need_dx)
        if not need_dx:
            return tuple(gradients)
        if dx_query is not None and dx_gate is not None:
            dx_query = dx_query + dx_gate
        if len(shapes) == 2 and dx_value is not None and dx_key is not None:
            return dx_query, dx_value + dx_key
        gradients[:3] = dx_query, dx_value, dx_key
        return tuple(gradients)

    # Axes. `rank` is that of the query; projections have one axis more, of heads.

    def _scale(self) -> float:
        return 1 / math.sqrt(self.key_dim)

    def _free(self, rank: int) -> list[int]:
        return [axis for axis in range(rank - 1) if axis not in (self.attention_axes or ())]

    def _order(self, rank: int) -> list[int]:
        """The axes of a projection in the order (free axes, read axes, heads, features)."""
        return [*self._free(rank), *(self.attention_axes or ()), rank - 1, rank]

    def _by_head(self, projected: Array) -> Array:
        """A projection as (B, T, heads, size): B are the free axes, T those that are read."""
        rank = projected.ndim - 1
        free = math.prod(projected.shape[axis] for axis in self._free(rank))
        read = math.prod(projected.shape[axis] for axis in self.attention_axes or ())
        ordered = projected.transpose(self._order(rank))
        return np.ascontiguousarray(ordered.reshape(free, read, *projected.shape[-2:]))

    def _by_step(self, by_head: Array, steps: Sequence[int]) -> Array:
        """The inverse of `_by_head`, C-contiguous: (*steps, heads, size)."""
        order = self._order(len(steps) + 1)
        ordered = by_head.reshape(*[steps[axis] for axis in order[:-2]], *by_head.shape[-2:])
        return np.ascontiguousarray(ordered.transpose(np.argsort(order)))

    def _sizes(self, query: Array, value: Array) -> Shape:
        """The shape of the weights with all read axes: (free axes, heads, read axes of the query, of the value)."""
        axes = self.attention_axes or ()
        free = [query.shape[axis] for axis in self._free(query.ndim)]
        read = [[x.shape[axis] for axis in axes] for x in (query, value)]
        return (*free, self.num_heads, *read[0], *read[1])

    # Masks.

    def _masks(
        self,
        query: Array,
        value: Array,
        mask: Masks | None,
        attention_mask: Array | None,
        causal: bool,
        sizes: Shape,
    ) -> tuple[list[Array], bool]:
        """Which values a query may read: masks that broadcast with (B, heads, Q, V), and whether it is causal."""
        query_mask, value_mask, key_mask = (*(mask or ()), None, None, None)[:3]
        parts = [
            attention_mask,
            None if query_mask is None else query_mask[..., None],
            None if value_mask is None else value_mask[..., None, :],
            None if key_mask is None else key_mask[..., None, :],
        ]
        plain = query.ndim == 3
        queries, values = query.shape[1], value.shape[1]
        if causal and not plain:
            parts.append(np.tri(queries, values, dtype=bool))
        if self.sliding_window is not None:
            distance = np.abs(np.arange(queries)[:, None] - np.arange(values))
            parts.append(distance < self.sliding_window)
        wide = [self._wide(part, sizes) for part in parts if part is not None]
        if plain:
            return [np.ascontiguousarray(part) for part in wide], causal
        if not wide:
            return [], False
        read = [math.prod(query.shape[axis] for axis in self._free(query.ndim)), self.num_heads]
        read += [math.prod(x.shape[axis] for axis in self.attention_axes or ()) for x in (query, value)]
        every: Array = functools.reduce(np.logical_and, wide)
        return [np.ascontiguousarray(np.broadcast_to(every, sizes).reshape(read))], False

    def _wide(self, part: Array, sizes: Shape) -> Array:
        """A mask with an axis for each of the scores, which has length 1 where the mask lacks it, as for the heads."""
        axis = 2 * len(self.attention_axes or ())
        shape = part.shape
        missing = len(sizes) - len(shape)
        if missing > 0:
            shape = (*shape[:-axis], *[1] * missing, *shape[-axis:])
        if len(shape) > len(sizes) or any(n not in (1, size) for n, size in zip(shape, sizes, strict=True)):
            raise self._mask_error(part.shape, sizes)
        return part.reshape(shape)

    def _mask_error(self, shape: Shape, expected: Shape) -> ValueError:
        return ValueError(
            f"attention_mask of layer {self.name!r} must have shape (batch, queries, values), or one that broadcasts "
            f"with {expected}, got {shape}"
        )

    def generators(self) -> dict[str, seeds.Generator]:
        return {**super().generators(), **({} if self._rng is None else {"_rng": self._rng})}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "output_shape": self._output_sizes,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            **specs_config(self, *_SPECS, activity=True),
            "seed": self.seed,
        }


_SPECS = (Projection.kernel_spec, Projection.bias_spec)


def _axes(axes: Any) -> tuple[int, ...] | None:
    """`attention_axes` as a tuple, or None."""
    if axes is None:
        return None
    return tuple(map(int, axes)) if isinstance(axes, list | tuple) else (int(axes),)
