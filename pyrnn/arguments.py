"""What an argument may be, by its name: Keras's names mean the same everywhere, so one table checks them all.

`@checked()` stands before every public constructor and function with arguments; `@checked(scale=flag)` where a name
means something else than in the table. A default is trusted. What depends on two arguments is checked where it is used.
The function receives NumPy's numbers as Python's: their dtype would change that of arrays, and JSON cannot hold them.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from pyrnn.validation import LARGEST_SIZE, shown, unexpected_arguments, unknown_name

Rule = Callable[[str, Any], None]
F = TypeVar("F", bound=Callable[..., Any])
LARGEST_COUNT = 2**63 - 1
_MOST_AXES = 64  # of an array of NumPy
_NO_DEFAULT = object()
_NUMPY = (np.generic, np.ndarray)
# Rules of arguments that are one number.
_SCALAR: set[Rule] = set()


def checked(**own: Rule | None) -> Callable[[F], F]:
    """A decorator that checks arguments by their names before the function runs; None leaves one to the function."""

    def decorate(function: F) -> F:
        code = function.__code__
        places = code.co_varnames[: code.co_argcount]
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = function.__defaults__ or ()
        defaults = {
            **dict(zip(places[len(places) - len(given) :], given, strict=True)),
            **(function.__kwdefaults__ or {}),
        }
        closed = not code.co_flags & inspect.CO_VARKEYWORDS
        rules = {name: rule for name in names if (rule := own[name] if name in own else RULES.get(name)) is not None}
        scalar = {name for name, rule in rules.items() if rule in _SCALAR}
        by_place = [
            (place, name, rules[name], defaults.get(name, _NO_DEFAULT))
            for place, name in enumerate(places)
            if name in rules
        ]

        @functools.wraps(function)
        def checking(*args: Any, **kwargs: Any) -> Any:
            count = len(args)
            for place, name, rule, default in by_place:
                if place >= count:
                    break
                value = args[place]
                if value is not default:
                    rule(name, value)
                    if name in scalar and isinstance(value, _NUMPY) and not value.ndim:
                        args = (*args[:place], as_number(value), *args[place + 1 :])
            for name, value in kwargs.items():
                if name in rules:
                    if value is not defaults.get(name, _NO_DEFAULT):
                        rules[name](name, value)
                        if name in scalar and isinstance(value, _NUMPY) and not value.ndim:
                            kwargs[name] = as_number(value)
                elif closed and name not in names:
                    _refuse_unknown(function, names, args, kwargs)
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise
                # Python refuses the call itself; what it names may be a base class.
                raise TypeError(str(error).replace(function.__qualname__, _called(function, args))) from None

        return checking  # type: ignore[return-value]  # of the same signature

    return decorate


def _called(function: Callable[..., Any], args: Sequence[Any]) -> str:
    """What a user has called: the class, not the base class whose constructor runs, or the method."""
    return type(args[0]).__name__ if function.__name__ == "__init__" and args else function.__name__


def _refuse_unknown(function: Callable[..., Any], names: tuple[str, ...], args: Any, kwargs: Mapping[str, Any]) -> None:
    """Raise a TypeError that names the arguments which the function does not have, and those that may be meant."""
    owner = _called(function, args) + ("" if function.__name__ == "__init__" else "()")
    unknown = {name: value for name, value in kwargs.items() if name not in names}
    known = [name for name in names if name not in ("self", "cls")]
    raise TypeError(unexpected_arguments(owner, unknown, known))


# Numbers.


def as_number(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    number = value.item()
    return float(number) if isinstance(number, np.floating) else number  # of more than 64 bits


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def number(least: float = -math.inf, most: float = math.inf, *, words: str = "", open_ends: str = "") -> Rule:
    """A finite number from `least` to `most`, themselves too but for the `open_ends`, "(", ")" or both.

    `words` say it after "must".
    """
    if not words and least == 0 and "(" in open_ends and most == math.inf:
        words = "be positive"
    elif not words and most == math.inf:
        words = "be a finite number" if least == -math.inf else f"be a number of at least {least:g}"
    elif not words:
        left, right = ("(" if "(" in open_ends else "["), (")" if ")" in open_ends else "]")
        words = f"lie in {left}{least:g}, {most:g}{right}"

    def rule(argument: str, value: Any) -> None:
        if not _is_number(value):
            raise TypeError(f"{argument} must {words}, got {shown(value)}")
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        at_open_end = ("(" in open_ends and value == least) or (")" in open_ends and value == most)
        if not finite or not least <= value <= most or at_open_end:
            raise ValueError(f"{argument} must {words}, got {shown(value)}")

    _SCALAR.add(rule)
    return rule


def whole(least: int = 0, most: int = LARGEST_SIZE) -> Rule:
    """An integer from `least` to `most`."""
    words = "a positive integer" if least == 1 else f"an integer of at least {least}"

    def rule(argument: str, value: Any) -> None:
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            count = operator.index(value)
        except TypeError:
            raise TypeError(f"{argument} must be {words}, got {shown(value)}") from None
        if count < least:
            raise ValueError(
                f"{argument} must be {'a positive integer' if least == 1 else f'at least {least}'}, got {value}"
            )
        if count > most:
            raise ValueError(f"{argument} must be at most {most}, got {value}")

    _SCALAR.add(rule)
    return rule


# Kinds.


def flag(argument: str, value: Any) -> None:
    """True or False, also as 1 or 0."""
    if not isinstance(value, bool | np.bool_ | int) or value not in (0, 1):
        raise TypeError(f"{argument} must be True or False, got {shown(value)}")


_SCALAR.add(flag)


def boolean(argument: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument} must be True or False, got {shown(value)}")


_SCALAR.add(boolean)


def text(argument: str, value: Any) -> None:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a string, got {shown(value)}")


def name(argument: str, value: Any) -> None:
    """A string that is not empty."""
    text(argument, value)
    if not value:
        raise ValueError(f"{argument} must be a string that is not empty, got ''")


def path(argument: str, value: Any) -> None:
    """The name of a file or folder."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{argument} must be a path, got {shown(value)}")
    if not os.fspath(value) or "\0" in os.fspath(value):
        raise ValueError(
            f"{argument} must name a {'folder' if argument.endswith('dir') else 'file'}, got {shown(value)}"
        )


def one_of(*choices: Any) -> Rule:
    """One of these."""

    def rule(argument: str, value: Any) -> None:
        try:
            known = any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices)
        except ValueError:
            known = False
        if not known:
            wrong_kind = not isinstance(value, str) and all(isinstance(choice, str) for choice in choices)
            words = (
                " or ".join([", ".join(map(repr, choices[:-1])), repr(choices[-1])])
                if choices[1:]
                else repr(choices[0])
            )
            words = f"one of {words}" if len(choices) > 2 else words
            raise (TypeError if wrong_kind else ValueError)(f"{argument} must be {words}, got {shown(value)}")

    return rule


def mapping(argument: str, value: Any) -> None:
    """A dict."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument} must be a dict, got {shown(value)}")


def class_weights(argument: str, value: Any) -> None:
    """A dict of class number to weight."""
    words = f"{argument} must be a dict of class numbers to weights such as {{0: 1.0, 1: 2.5}}"
    if not isinstance(value, Mapping):
        is_list = isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1
        fix = f"; write dict(enumerate({argument}))" if is_list else ""
        raise TypeError(f"{words}, got {shown(value)}{fix}")
    for key, weight in value.items():
        if not _is_number(key) or key != int(key):
            raise TypeError(f"{words}, got the class {shown(key)}")
        if not _is_number(weight):
            raise TypeError(f"{words}, got the weight {shown(weight)} for class {key}")
        if not 0 <= weight < math.inf:
            raise ValueError(f"{argument} must hold finite weights of at least 0, got {weight} for class {key}")


def optional(rule: Rule) -> Rule:
    """None, or what `rule` allows."""

    def or_none(argument: str, value: Any) -> None:
        if value is not None:
            rule(argument, value)

    if rule in _SCALAR:
        _SCALAR.add(or_none)
    return or_none


def list_of(rule: Rule) -> Rule:
    """A list or tuple whose entries `rule` allows."""

    def of_each(argument: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{argument} must be a list or tuple, got {shown(value)}")
        for each in value:
            rule(argument, each)

    return of_each


def either(*rules: Rule) -> Rule:
    """What any of the rules allows; the last one words the refusal."""

    def rule(argument: str, value: Any) -> None:
        for each in rules[:-1]:
            try:
                each(argument, value)
            except (TypeError, ValueError):
                continue
            return
        rules[-1](argument, value)

    if not _SCALAR.isdisjoint(rules):
        _SCALAR.add(rule)
    return rule


def numbers(argument: str, value: Any) -> None:
    """A number, or an array or nested list of numbers."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or isinstance(value, str | bytes):
        raise TypeError(f"{argument} must hold numbers, got {shown(value)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} must hold finite numbers, got {shown(value)}")


def data(argument: str, value: Any) -> None:
    """A number or what is read as an array of numbers, NaN and infinity too."""
    if type(value) is not np.ndarray or value.dtype.kind not in "fiub":
        import_module("pyrnn.data.batches").as_array(argument, value)


def sizes(argument: str, value: Any) -> None:
    """A list of sizes, or one size."""
    for each in value if isinstance(value, list | tuple | np.ndarray) else [value]:
        whole(0)(argument, each)


def takes(function: Any, arguments: int, named: Iterable[str] = ()) -> bool:
    """Whether a function can be called with that many arguments and some by name, as far as its signature says."""
    try:
        inspect.signature(function).bind(*[None] * arguments, **dict.fromkeys(named))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        pass
    return True


def function_of(*words: str, named: Sequence[str] = ()) -> Rule:
    """A function that can be called with these by position, and with `named` by name."""
    taken = f"a function of ({', '.join([*words, *(f'{name}=...' for name in named)])})"

    def rule(argument: str, value: Any) -> None:
        if not callable(value) or not takes(value, len(words), named):
            raise TypeError(f"{argument} must be {taken}, got {shown(value)}")

    return rule


def a_function(least: int, most: int) -> Rule:
    """A function that can be called with `least` to `most` arguments."""

    def rule(argument: str, value: Any) -> None:
        if not callable(value):
            raise TypeError(f"{argument} must be a function, got {shown(value)}")
        if not any(takes(value, count) for count in range(least, most + 1)):
            counts = f"{least}" if least == most else f"{least} to {most}"
            raise TypeError(f"{argument} must be a function of {counts} argument{'s'[: most > 1]}, got {shown(value)}")

    return rule


def axes(argument: str, value: Any) -> None:
    """None, the number of an axis, or a list of them."""
    found: Any = () if value is None else value if isinstance(value, list | tuple) else (value,)
    for each in found:
        if isinstance(each, bool) or not isinstance(each, int | np.integer):
            raise TypeError(f"{argument} must be an integer or a list of integers, got {shown(value)}")
        if abs(int(each)) > _MOST_AXES:
            raise ValueError(f"{argument} must be an axis from {-_MOST_AXES} to {_MOST_AXES}, got {shown(value)}")


def configurable(argument: str, value: Any) -> None:
    """An object that can describe itself."""
    if isinstance(value, type) or not hasattr(value, "get_config"):
        raise TypeError(f"{argument} must be an object with get_config, got {shown(value)}")


def a_model(argument: str, value: Any) -> None:
    """A Sequential."""
    if not isinstance(value, import_module("pyrnn.models").Sequential):
        raise TypeError(f"{argument} must be a Sequential model, got {shown(value)}")


def dtype(argument: str, value: Any) -> None:
    """None, or what NumPy or Keras calls a kind of number."""
    if value is None or isinstance(value, Mapping):  # Keras's description of a policy
        return
    try:
        kind = "" if isinstance(value, np.generic) else np.dtype(value).kind
    except (TypeError, ValueError, SyntaxError):
        kind = ""
    if kind not in tuple("iufb"):
        raise TypeError(f"{argument} must be a dtype of numbers such as 'float32', got {shown(value)}")


def labels(argument: str, value: Any) -> None:
    """Class numbers: a list, tuple or array of at least one integer of at least 0."""
    if not isinstance(value, list | tuple | range | np.ndarray) or np.ndim(value) != 1 or not len(value):
        raise TypeError(f"{argument} must be a list of class numbers, got {shown(value)}")
    for each in value:
        whole(0)(argument, each)


def vector(argument: str, value: Any) -> None:
    """A list of numbers, or an array of one axis."""
    numbers(argument, value)
    if np.ndim(value) != 1:
        raise TypeError(f"{argument} must be a list of numbers, got {shown(value)}")


def thresholds(argument: str, value: Any) -> None:
    """A number from 0 to 1 or a list of them."""
    numbers(argument, value)
    if np.ndim(value) > 1 or not np.size(value):
        raise ValueError(f"{argument} must be a number or a list of numbers, got {shown(value)}")
    if not (np.min(value) >= 0 and np.max(value) <= 1):
        raise ValueError(f"{argument} must lie in [0, 1], got {shown(value)}")


def registered(module: str, *call: str, named: Sequence[str] = ()) -> Rule:
    """What `pyrnn.<module>.get` finds; a custom function is called with `call` by position and `named` by name."""

    def rule(argument: str, value: Any) -> None:
        try:
            found = import_module(f"pyrnn.{module}").get(value)
        except (TypeError, ValueError) as error:
            words = " ".join(str(error).split())
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(words if argument in words else f"{argument}: {words}") from None
        if call and found is value and inspect.isfunction(value):
            function_of(*call, named=named)(argument, value)

    return rule


def known_name(kind: str, names: Iterable[str]) -> Rule:
    """One of these names, with the closest ones in the refusal."""
    known = tuple(names)

    def rule(argument: str, value: Any) -> None:
        text(argument, value)
        if value not in known:
            raise ValueError(f"{argument}: {unknown_name(kind, value, known)}")

    return rule


_size, _count, _index = whole(1), whole(1, LARGEST_COUNT), whole(0, LARGEST_COUNT)
_share, _decay = number(0, 1), number(0, 1, open_ends=")")
_rate = number(0, 1, words="be a number from 0 to 1")
_at_least_0, _positive = number(0), number(0, open_ends="(")
_activation = registered("activations")
_initializer = registered("initializers", "shape", named=["dtype"])
_regularizer = registered("regularizers")
_constraint = registered("constraints", "weight")

_SIZES = (
    "units filters output_dim input_length num_classes num_labels sequence_length sequence_stride sampling_rate "
    "length stride batch_size size dpi max_queue_size k depth_multiplier checkpoint_steps"
)
_COUNTS = "epochs steps steps_per_epoch validation_steps validation_batch_size steps_per_execution patience_steps"
_FLAGS = (
    "use_bias return_sequences return_state go_backwards stateful unroll zero_output_for_mask reset_after "
    "unit_forget_bias keepdims mask_zero invert center amsgrad nesterov centered use_ema relative_step "
    "staircase cycle from_logits apply_class_balancing full from_sorted_ids multi_label sparse_y_true "
    "sparse_y_pred restore_best_weights save_best_only save_weights_only append raise_error swap_on_epoch "
    "delete_checkpoint double_checkpoint send_as_json write_graph write_images write_steps_per_second add_history "
    "add_progbar shuffle reverse lower char_level overwrite compile safe_mode include_optimizer "
    "include_rng skip_mismatch "
    "by_name expand_nested show_shapes show_dtype show_layer_names show_layer_activations show_trainable "
    "return_dict exclude_embeddings free_memory rms_scaling remove_diagonal use_multiprocessing run_eagerly "
    "auto_scale_loss training"
)


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_each(_SIZES, _size),
    **_each(_COUNTS, _count),
    **_each(_FLAGS, flag),
    **_each(
        "dropout recurrent_dropout rate label_smoothing",
        _rate,
    ),
    **_each(
        "beta_1 beta_2 adam_beta_1 adam_beta_2",
        _decay,
    ),
    **_each(
        "rho momentum ema_momentum",
        _share,
    ),
    **_each(
        "epsilon epsilon_1 epsilon_2 adam_lr_ratio stddev min_delta min_lr "
        "l1_regularization_strength l2_regularization_strength l2_shrinkage_regularization_strength "
        "initial_accumulator_value gamma margin warmup_steps initial_learning_rate end_learning_rate "
        "decay_rate power m_mul alpha factor",
        _at_least_0,
    ),
    **_each(
        "l1 l2",
        optional(_at_least_0),
    ),
    **_each(
        "clipnorm clipvalue global_clipnorm loss_scale_factor clip_threshold decay_steps first_decay_steps t_mul delta",
        _positive,
    ),
    **_each(
        "gain minval maxval mean muon_a muon_b muon_c beta_2_decay mask_value",
        number(),
    ),
    **_each(
        "activation recurrent_activation",
        _activation,
    ),
    **_each(
        "kernel_initializer recurrent_initializer bias_initializer embeddings_initializer beta_initializer "
        "gamma_initializer alpha_initializer moving_mean_initializer moving_variance_initializer "
        "depthwise_initializer pointwise_initializer",
        _initializer,
    ),
    **_each(
        "kernel_regularizer recurrent_regularizer bias_regularizer embeddings_regularizer beta_regularizer "
        "gamma_regularizer alpha_regularizer activity_regularizer depthwise_regularizer pointwise_regularizer",
        _regularizer,
    ),
    **_each(
        "kernel_constraint recurrent_constraint bias_constraint embeddings_constraint beta_constraint "
        "gamma_constraint alpha_constraint depthwise_constraint pointwise_constraint",
        _constraint,
    ),
    **_each(
        "filepath backup_dir log_dir to_file filename",
        path,
    ),
    **_each(
        "monitor separator root path field split rankdir package oov_token",
        text,
    ),
    "name": name,
    "trainable": boolean,  # as in Keras: 1 may be meant for the argument next to it
    "input_dim": _size,
    "weight_decay": optional(_at_least_0),
    "rms_rate": optional(_share),
    "adam_weight_decay": optional(_at_least_0),
    "warmup_target": _at_least_0,
    "gradient_accumulation_steps": whole(2),
    "ema_overwrite_frequency": _count,
    "ns_steps": whole(1),
    "patience": _index,
    "cooldown": _index,
    "start_from_epoch": _index,
    "initial_epoch": _index,
    "document_count": _index,
    "num_regressors": whole(0),
    "num_words": _size,
    "maxlen": whole(0),
    "num_thresholds": whole(1, 2**20),
    "class_id": whole(0),
    "top_k": _size,
    "ignore_class": whole(-LARGEST_SIZE),
    "seasonality": _size,
    "seed": whole(0, 2**128),
    "workers": whole(0),
    "baseline": number(),
    "initial_value_threshold": number(),
    "validation_split": number(0, 1, open_ends=")"),
    "custom_objects": mapping,
    "implementation": one_of(1, 2),
    "json_string": text,
    "save_format": optional(text),
    "headers": mapping,
    "embeddings_freq": whole(0, LARGEST_COUNT),
    "histogram_freq": whole(0, LARGEST_COUNT),
    **_each("recall precision specificity sensitivity", number(0, 1)),
    **_each(
        "mode curve summation_method average class_aggregation padding truncating merge_mode data_format format",
        optional(text),
    ),
    **_each("input_axes output_axes shared_axes axis", axes),
    **_each("on_epoch_begin on_epoch_end on_train_batch_begin on_train_batch_end", a_function(2, 2)),
    **_each("on_train_begin on_train_end", a_function(1, 1)),
    **_each("update_freq", either(text, whole(0, LARGEST_COUNT))),
    **_each("thresholds", thresholds),
    **_each("boundaries values", vector),
    "target_class_ids": labels,
    "label_weights": either(mapping, vector),
    "exclude_layers": list_of(text),
    "cells": list_of(configurable),
    "dims": list_of(whole(1, _MOST_AXES)),
    "target_shape": list_of(whole(-1)),
    "learning_rate_power": number(-math.inf, 0, words="be at most 0"),
    "threshold": number(),
    "q": number(0, 1, words="lie between 0 and 1"),
    "quantile": numbers,
    "reduction": one_of("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None),
    "dtype": dtype,
    "renorm": flag,
    "synchronized": flag,
    "renorm_momentum": number(0, 1),
    "renorm_clipping": mapping,
    "schedule": a_function(1, 2),
    "arguments": mapping,
    "use_cudnn": optional(one_of("auto", False)),
    "profile_batch": either(whole(0, LARGEST_COUNT), list_of(whole(0, LARGEST_COUNT))),
    "embeddings_metadata": either(text, mapping),
    "hash_function": either(text, a_function(1, 1)),
    "weights": either(list_of(numbers), numbers),
    "order": either(one_of(math.inf, -math.inf), number()),
    "mask": either(numbers, a_function(0, 2)),
    "validation_freq": either(list_of(whole(1)), whole(1, LARGEST_COUNT)),
    "class_weight": class_weights,
    "jit_compile": one_of("auto", True, False),
    "line_length": whole(1),
    "print_fn": a_function(1, 1),
    "layer_range": list_of(text),
    "positions": vector,
    "distribution": text,
    "negative_slope": _at_least_0,
    "max_value": optional(_at_least_0),
    "count": whole(1),
    "on_nan": one_of("pass", "raise", "hold"),
    "module_objects": mapping,
    "verbose": one_of(0, 1, 2, "auto", True, False),
}
