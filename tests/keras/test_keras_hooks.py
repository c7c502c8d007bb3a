"""What a subclass of a class of Keras may override: each is here too and called, rejected, or called by users only."""

from __future__ import annotations

from typing import Any

import keras
import pytest

import pyrnn
from pyrnn import callbacks, constraints, initializers, layers, losses, metrics, optimizers, overriding, regularizers
from pyrnn.layers import custom

# Attributes that are read or called by users, not by Keras's loops; here they are missing or plain fields.
BY_USERS = {
    "Layer": """add_variable dtype input input_dtype metrics_variables named_parameters output path quantization_mode
        torch_params units use_bias unit_forget_bias kernel_initializer recurrent_initializer bias_initializer
        kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint
        bias_constraint reset_after enable_lora""",
    "Sequential": """add_variable add_weight compute_dtype dtype_policy export forward get_quantization_layer_structure
        get_state_tree input input_dtype input_spec inputs jit_compile metrics_variables named_parameters output outputs
        path quantization_mode quantized_build quantized_call rematerialized_call run_eagerly set_state_tree
        supports_masking torch_params variable_dtype""",
    "Optimizer": "add_variable_from_reference set_weights",
    "Loss": "dtype",
    "Metric": "dtype stateless_reset_state stateless_result stateless_update_state",
    "Callback": "model",
    "PyDataset": "max_queue_size use_multiprocessing workers",
}
CALLBACKS = ("Callback", "EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "BackupAndRestore", "CSVLogger",
             "LearningRateScheduler", "TerminateOnNaN", "History", "LambdaCallback", "SwapEMAWeights")  # fmt: skip
KINDS: list[tuple[str, type, type, Any]] = [
    # `call` runs in classes that derive from Layer itself, and is rejected in those that derive from a built-in layer.
    ("Layer", keras.layers.Layer, layers.Layer, {**custom.NEVER_CALLED, "call": ""}),
    *[("Layer", getattr(keras.layers, name), getattr(layers, name), table) for names, table in (
        (("Dense", "Embedding", "Conv1D", "BatchNormalization", "Lambda", "Masking"),
         {**custom.NEVER_CALLED, "call": ""}),
        (("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"),
         {**custom.NEVER_CALLED_RECURRENT, "call": ""}),
        (("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"), custom.NEVER_CALLED_CELL),
    ) for name in names],
    ("Sequential", keras.Sequential, pyrnn.Sequential, overriding.MODEL),
    ("Optimizer", keras.optimizers.Optimizer, optimizers.Optimizer, overriding.OPTIMIZER),
    ("Loss", keras.losses.Loss, losses.Loss, {**overriding.LOSS, "call": ""}),
    ("Metric", keras.metrics.Metric, metrics.Metric, {}),
    *[("Callback", getattr(keras.callbacks, name), getattr(callbacks, name), {}) for name in CALLBACKS],
    ("PyDataset", keras.utils.PyDataset, pyrnn.utils.PyDataset, {}),
    ("", keras.initializers.Initializer, initializers.Initializer, {}),
    ("", keras.regularizers.Regularizer, regularizers.Regularizer, {}),
    ("", keras.constraints.Constraint, constraints.Constraint, {}),
    ("", keras.optimizers.schedules.LearningRateSchedule, optimizers.schedules.LearningRateSchedule, {}),
]  # fmt: skip


@pytest.mark.parametrize(("group", "theirs", "ours", "rejected"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
def test_every_hook_is_called_or_rejected(group: str, theirs: type, ours: type, rejected: Any) -> None:
    hooks = {
        name
        for owner in theirs.__mro__
        if owner.__module__.startswith("keras.src")
        for name, value in vars(owner).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, property | classmethod))
    }
    allowed = {*rejected, *BY_USERS.get(group, "").split()}
    assert sorted(name for name in hooks - allowed if not hasattr(ours, name)) == []
