"""Attention and AdditiveAttention: queries that read values, one head."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np

from pyrnn import backend, seeds
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.merging.base import Masks, Merging
from pyrnn.layers.settings import dropout_scale, fraction, unknown_size
from pyrnn.parameters import Weight
from pyrnn.plan import acts_as_in_training
from pyrnn.rules import OneOf
from pyrnn.typing import ArrayLike, Flag, Inputs, Rate, Seed
from pyrnn.validation import WrongType, shown, unexpected_arguments

__all__ = ["AdditiveAttention", "Attention"]

# Keras subtracts this from the scores of masked values.
_MASKED = 1e9


class Attention(Merging):
    """Dot-product attention: each query is answered with an average of the values, weighed by how keys match it.

    Called on [query, value] or [query, value, key]; the values are the keys if there are none.

    scores = scale * query key^T, weights = softmax(scores) along the values, y = weights value. Shapes: query
    (B, Q, F), value (B, V, E), key (B, V, F), weights (B, Q, V), y (B, Q, E). A mask of the values leaves steps out of
    the average; where a mask of the queries is False, y is 0.

    Call options: `use_causal_mask=True` lets query i read values up to i only; `return_attention_scores=True` returns
    (y, weights).

    Args:
        use_scale: whether a trainable number `scale`, which starts as 1, multiplies the scores.
        score_mode: "dot", or "concat": scores = w sum(tanh(scale * (query + key))) over the features, with a trainable
            number w, `concat_score_weight`, which starts as 1.
        dropout: probability with which training drops a weight, from 0 to 1.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the shapes of the inputs do not fit.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> query, value = np.ones((1, 2, 3)), np.ones((1, 5, 3))
        >>> y, weights = layers.Attention()([query, value], return_attention_scores=True)
        >>> y.shape, weights.shape
        ((1, 2, 3), (1, 2, 5))

    Source: Luong, Pham and Manning 2015, Effective approaches to attention-based neural machine translation.
    """

    supports_masking = True
    least_inputs, most_inputs = 2, 3
    inputs_named = "[query, value] or [query, value, key]"
    scale: Weight | None
    concat_score_weight: Weight | None
    # Shape of `scale`; None is one number for each feature.
    _scale_shape: ClassVar[tuple[int, ...] | None] = ()
    _scale_initializer: ClassVar[str] = "ones"

    @checked
    def __init__(
        self,
        use_scale: Flag = False,
        score_mode: Annotated[str, OneOf("dot", "concat")] = "dot",
        dropout: Rate = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = bool(use_scale)
        self.score_mode = score_mode
        self.dropout = fraction("dropout", dropout)
        self.seed = seed
        self._rng = seeds.generator(seed) if self.dropout else None
        self._workspace = backend.Workspace()
        self.scale = self.concat_score_weight = None

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        query, value, key = (*shape, shape[1])[:3]
        name = type(self).__name__
        if len(query) < 3 or len({len(each) for each in shape}) > 1:
            raise ValueError(f"{name} expects inputs (batch, time, features), got shapes {list(shape)}")
        if None not in (query[-1], key[-1]) and query[-1] != key[-1]:
            what = "key" if len(shape) == 3 else "value"
            raise ValueError(f"query and {what} of {name} must have as many features, got shapes {query} and {key}")
        if None not in (value[-2], key[-2]) and value[-2] != key[-2]:
            raise ValueError(f"value and key of {name} must have as many steps, got shapes {value} and {key}")
        if self.built and self.scale is not None and self.scale.shape not in ((), (query[-1],)):
            raise ValueError(f"{name} expects a query of {self.scale.shape[0]} features, got shape {query}")

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            shape = self._scale_shape
            if shape is None:
                if input_shape[0][-1] is None:
                    raise unknown_size(type(self).__name__, "features of the query", input_shape[0])
                shape = (input_shape[0][-1],)
            self.scale = self.add_weight(shape, name="scale", initializer=self._scale_initializer)
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), name="concat_score_weight", initializer="ones")

    def compute_output_shape(self, input_shape: Any, return_attention_scores: bool = False, **options: Any) -> Any:
        """Return the shape of the output.

        Args:
            input_shape: the shapes of query, value and, optionally, key, batch axis first.
            return_attention_scores: whether the call returns the weights too.
            **options: other options of the call, which do not matter.

        Returns:
            The shape of the output, or a list of it and the shape (B, Q, V) of the weights.
        """
        query, value = input_shape[:2]
        output: Shape = (*query[:-1], value[-1])
        return [output, (*query[:-1], value[-2])] if return_attention_scores else output

    def _checked_masks(self, mask: Any, arrays: list[Array]) -> list[Array | None] | None:
        if isinstance(mask, list | tuple) and len(mask) < self.least_inputs:
            raise ValueError(f"mask of {type(self).__name__} must be a list of 2 or 3, got {shown(mask)}")
        return super()._checked_masks(mask, arrays)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask for the next layer.

        Args:
            inputs: a list of arrays (B, T, F), which are not read.
            mask: a list of their masks (B, T), or None.

        Returns:
            The mask of the query, or None.
        """
        return None if mask is None or mask[0] is None else np.asarray(mask[0])

    @checked
    def __call__(  # type: ignore[override]  # no initial_state
        self,
        x: Inputs,
        *,
        mask: ArrayLike | None = None,
        training: Flag | None = None,
        return_attention_scores: Flag = False,
        use_causal_mask: Flag = False,
    ) -> Any:
        """Convert and check the inputs, build the layer at first use, and run it.

        Args:
            x: a list of query (B, Q, F), value (B, V, E) and, optionally, key (B, V, F); arrays or symbols.
            mask: a list of a mask (B, Q) for the query and one (B, V) for the value, or None in place of each.
            training: whether to save what `backward` needs, and to use dropout.
            return_attention_scores: whether to return the weights too.
            use_causal_mask: whether query i reads values up to i only.

        Returns:
            The output (B, Q, E), or a tuple of it and the weights (B, Q, V).

        Raises:
            TypeError, ValueError: if an input does not fit.
        """
        flags = {"return_attention_scores": return_attention_scores, "use_causal_mask": use_causal_mask}
        options = {name: True for name, value in flags.items() if value}
        return self._call_on((x,), options, self._listed(x), mask, training, options)

    def forward(
        self,
        *xs: Array,
        training: bool = False,
        mask: Masks | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        **options: Any,
    ) -> Any:
        """Compute the output. With `training`, save what `backward` needs.

        Args:
            *xs: query (B, Q, F), value (B, V, E) and, optionally, key (B, V, F).
            training: whether the pass is part of a training step; dropout acts only then.
            mask: a list of masks (B, Q) and (B, V), or None in place of each.
            return_attention_scores: whether to return the weights too.
            use_causal_mask: whether query i reads values up to i only.
            **options: none.

        Returns:
            The output (B, Q, E), or a tuple of it and the weights (B, Q, V).
        """
        query, value = xs[:2]
        key = xs[2] if len(xs) > 2 else value
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        by_head, additive, scale = self._score_arguments(query, key)
        q, k, v = (_one_head(x) for x in (*by_head, value))
        factors = None
        if self.dropout and acts_as_in_training(training):
            if self._rng is None:
                self._rng = seeds.generator(self.seed)
            shape = (len(q), 1, query.shape[-2], value.shape[-2])
            factors = dropout_scale(self._rng, shape, self.dropout, self.dtype)
        read, weights = backend.attention_forward(
            q,
            k,
            v,
            additive=additive,
            scale=scale,
            masks=[] if value_mask is None else [np.ascontiguousarray(value_mask.reshape(-1, 1, 1, value.shape[-2]))],
            causal=use_causal_mask,
            penalty=_MASKED,
            zero_unread=False,
            factors=factors,
            need_weights=training or return_attention_scores,
            workspace=self._workspace,
        )
        y = read.reshape(*query.shape[:-1], value.shape[-1])
        if query_mask is not None:
            y[~query_mask] = 0
        if training:
            self._tape.append((xs, (q, k, v), additive, scale, weights, factors, query_mask))
        if not return_attention_scores:
            return y
        assert weights is not None
        used = weights if factors is None else weights * factors
        return y, used.reshape(*query.shape[:-1], value.shape[-2])

    def backward(self, dy: Array | None, d_weights: Array | None = None, *, need_dx: bool = True) -> Any:
        """Write the gradients of the weights into `weight.gradient` and return those of the inputs.

        Args:
            dy: gradient by the output (B, Q, E), or None for 0.
            d_weights: gradient by the attention weights (B, Q, V), or None for 0.
            need_dx: whether gradients with respect to the inputs are needed.

        Returns:
            A tuple of the gradients by query, value and, if it was an input, key; None for each unless `need_dx`.
        """
        xs, (q, k, v), additive, scale, weights, factors, query_mask = self._take_saved()
        if not need_dx and not self.weights:
            return (None,) * len(xs)
        query, value = xs[:2]
        key = xs[2] if len(xs) > 2 else value
        if dy is None:
            dy = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
        elif query_mask is not None:
            dy = np.where(query_mask[..., None], dy, dy.dtype.type(0))
        if d_weights is not None:
            d_weights = d_weights.reshape(weights.shape)
            d_weights = d_weights if factors is None else d_weights * factors
        d_query, d_key, d_value, d_additive, d_scale = backend.attention_backward(
            q,
            k,
            v,
            weights,
            _one_head(dy),
            d_weights,
            additive=additive,
            scale=scale,
            factors=factors,
            need_d_scale=bool(self.weights),
            workspace=self._workspace,
        )
        shaped = d_query.reshape(query.shape), d_key.reshape(key.shape)
        d_query, d_key = self._score_gradients(query, key, shaped, d_additive, d_scale)
        if not need_dx:
            return (None,) * len(xs)
        d_value = d_value.reshape(value.shape)
        if len(xs) > 2:
            return d_query, d_value, d_key
        d_value += d_key  # which no one else holds
        return d_query, d_value

    def _score_arguments(self, query: Array, key: Array) -> tuple[tuple[Array, Array], Array | None, float]:
        """Query and key, `additive` and `scale` of `attention_forward`."""
        if self.score_mode == "dot":
            return (query, key), None, 1.0 if self.scale is None else float(self.scale.array)
        assert self.concat_score_weight is not None
        pair = (query, key) if self.scale is None else (query * self.scale.array, key * self.scale.array)
        return pair, np.ones(query.shape[-1], query.dtype), float(self.concat_score_weight.array)

    def _score_gradients(
        self, query: Array, key: Array, gradients: tuple[Array, Array], d_additive: Array | None, d_scale: float | None
    ) -> tuple[Array, Array]:
        """Write the gradients of the weights from those of `_score_arguments`; return those by query and key."""
        if self.score_mode == "dot":
            if self.scale is not None:
                self.scale.gradient[...] = d_scale
            return gradients
        assert self.concat_score_weight is not None
        self.concat_score_weight.gradient[...] = d_scale
        if self.scale is None:
            return gradients
        self.scale.gradient[...] = sum(np.vdot(d, x) for d, x in zip(gradients, (query, key), strict=True))
        return gradients[0] * self.scale.array, gradients[1] * self.scale.array

    def generators(self) -> dict[str, seeds.Generator]:
        return {**super().generators(), **({} if self._rng is None else {"_rng": self._rng})}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _one_head(x: Array) -> Array:
    """(..., T, F) as (B, T, 1, F)."""
    return x.reshape(math.prod(x.shape[:-2]), x.shape[-2], 1, x.shape[-1])


class AdditiveAttention(Attention):
    """Additive attention: each query is answered with an average of the values, weighed by how keys match it.

    Called on [query, value] or [query, value, key]; the values are the keys if there are none.

    scores = sum(scale * tanh(query + key)) over the features, weights = softmax(scores) along the values, y = weights
    value. Shapes: query (B, Q, F), value (B, V, E), key (B, V, F), weights (B, Q, V), y (B, Q, E), scale (F,). Masks
    and call options are those of `Attention`.

    Args:
        use_scale: whether there is a trainable `scale`, a factor for each feature.
        dropout: probability with which training drops a weight, from 0 to 1.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the shapes of the inputs do not fit.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.AdditiveAttention()([np.ones((1, 2, 3)), np.ones((1, 5, 3))]).shape
        (1, 2, 3)

    Source: Bahdanau, Cho and Bengio 2015, Neural machine translation by jointly learning to align and translate.
    """

    _scale_shape = None
    _scale_initializer = "glorot_uniform"

    @checked
    def __init__(self, use_scale: Flag = True, dropout: Rate = 0.0, seed: Seed | None = None, **kwargs: Any) -> None:
        if "score_mode" in kwargs:
            raise WrongType(unexpected_arguments("AdditiveAttention", kwargs, self._known_arguments()))
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)

    def _score_arguments(self, query: Array, key: Array) -> tuple[tuple[Array, Array], Array | None, float]:
        additive = np.ones(query.shape[-1], query.dtype) if self.scale is None else self.scale.array
        return (query, key), additive, 1.0

    def _score_gradients(
        self, query: Array, key: Array, gradients: tuple[Array, Array], d_additive: Array | None, d_scale: float | None
    ) -> tuple[Array, Array]:
        if self.scale is not None:
            assert d_additive is not None
            self.scale.gradient[...] = d_additive
        return gradients

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
