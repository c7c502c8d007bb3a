"""Attention and AdditiveAttention: queries that read values, one head."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np

from pyrnn import backend, seeds
from pyrnn.arguments import checked
from pyrnn.layers.attention.weights import causal_mask, weigh, weigh_backward
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.merging.base import Masks, Merging
from pyrnn.layers.settings import dropout_scale, fraction, unknown_size
from pyrnn.parameters import Weight
from pyrnn.plan import acts_as_in_training
from pyrnn.rules import OneOf
from pyrnn.typing import ArrayLike, Flag, Inputs, Rate, Seed
from pyrnn.validation import unexpected_arguments

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
            self.scale = self.add_weight(shape, "scale", initializer=self._scale_initializer)
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "concat_score_weight", initializer="ones")

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
        scores, saved = self._scores(query, key)
        counted = None if value_mask is None else value_mask[..., None, :]
        if use_causal_mask:
            causal = causal_mask(*scores.shape[-2:])
            counted = causal if counted is None else counted & causal
        if counted is not None:
            scores = np.where(counted, scores, scores - scores.dtype.type(_MASKED))
        factors = None
        if self.dropout and acts_as_in_training(training):
            if self._rng is None:
                self._rng = seeds.generator(self.seed)
            factors = dropout_scale(self._rng, scores.shape, self.dropout, self.dtype)
        y, weighed = weigh(scores, value, factors)
        if query_mask is not None:
            query_mask = query_mask[..., None]
            y = np.where(query_mask, y, y.dtype.type(0))
        if training:
            self._tape.append((query, key, saved, weighed, query_mask, len(xs)))
        return (y, weighed.used) if return_attention_scores else y

    def backward(self, dy: Array | None, d_weights: Array | None = None, *, need_dx: bool = True) -> Any:
        """Write the gradients of the weights into `weight.gradient` and return those of the inputs.

        Args:
            dy: gradient by the output (B, Q, E), or None for 0.
            d_weights: gradient by the attention weights (B, Q, V), or None for 0.
            need_dx: whether gradients with respect to the inputs are needed.

        Returns:
            A tuple of the gradients by query, value and, if it was an input, key; None for each unless `need_dx`.
        """
        query, key, saved, weighed, query_mask, count = self._take_saved()
        if dy is None:
            dy = np.zeros((*query.shape[:-1], weighed.values.shape[-1]), query.dtype)
        elif query_mask is not None:
            dy = np.where(query_mask, dy, dy.dtype.type(0))
        d_scores, d_value = weigh_backward(dy, weighed, d_used=d_weights)
        d_query, d_key = self._scores_backward(query, key, saved, d_scores, need_dx)
        if not need_dx:
            return (None,) * count
        return (d_query, d_value + d_key) if count == 2 else (d_query, d_value, d_key)

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        """Return the scores (B, Q, V), and what `_scores_backward` needs."""
        if self.score_mode == "concat":
            scale = 1.0 if self.scale is None else self.scale.array
            tanh = _tanh_of_sums(query, key, scale)
            sums = tanh.sum(axis=-1)
            assert self.concat_score_weight is not None
            return sums * self.concat_score_weight.array, (tanh, sums)
        products = query @ key.swapaxes(-1, -2)
        return (products, None) if self.scale is None else (products * self.scale.array, products)

    def _scores_backward(
        self, query: Array, key: Array, saved: Any, d_scores: Array, need_dx: bool
    ) -> tuple[Array | None, Array | None]:
        """Write the gradients of the weights and return those by query and key."""
        if self.score_mode == "concat":
            assert self.concat_score_weight is not None
            tanh, sums = saved
            weight = self.concat_score_weight
            weight.gradient[...] = np.vdot(d_scores, sums)
            slopes = (1 - tanh * tanh) * (d_scores * weight.array)[..., None]
            if self.scale is not None:
                # By the chain rule, with the sum of the two products instead of all sums query + key.
                by_query, by_key = slopes.sum(axis=-2), slopes.sum(axis=-3)
                self.scale.gradient[...] = np.vdot(by_query, query) + np.vdot(by_key, key)
                return by_query * self.scale.array, by_key * self.scale.array
            return slopes.sum(axis=-2), slopes.sum(axis=-3)
        if self.scale is not None:
            self.scale.gradient[...] = np.vdot(d_scores, saved)
            d_scores = d_scores * self.scale.array
        if not need_dx:
            return None, None
        return d_scores @ key, d_scores.swapaxes(-1, -2) @ query

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


def _tanh_of_sums(query: Array, key: Array, scale: Any = 1) -> Array:
    """tanh(scale * (query + key)) for each pair: (B, Q, V, F)."""
    sums = query[..., :, None, :] + key[..., None, :, :]
    return backend.activation_forward(sums * scale, "tanh")


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
            raise TypeError(unexpected_arguments("AdditiveAttention", kwargs, self._known_arguments()))
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        tanh = _tanh_of_sums(query, key)
        return (tanh.sum(axis=-1) if self.scale is None else tanh @ self.scale.array), tanh

    def _scores_backward(
        self, query: Array, key: Array, saved: Any, d_scores: Array, need_dx: bool
    ) -> tuple[Array | None, Array | None]:
        features = query.shape[-1]
        if self.scale is not None:
            self.scale.gradient[...] = d_scores.reshape(-1) @ saved.reshape(-1, features)
        if not need_dx:
            return None, None
        slopes = 1 - saved * saved
        slopes *= d_scores[..., None]
        d_query, d_key = slopes.sum(axis=-2), slopes.sum(axis=-3)
        if self.scale is not None:
            d_query *= self.scale.array
            d_key *= self.scale.array
        return d_query, d_key

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
