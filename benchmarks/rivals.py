"""One interface to every library: build a model with given weights, train on a batch, predict a batch, or step through
time.

Each library runs in its own process (`compare.py`), so imports are inside the classes.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from workloads import BETA_1, BETA_2, EPSILON, GATES, LEARNING_RATE, SHORT, Workload

Array = NDArray[Any]


class Pyrnn:
    """This library."""

    def __init__(self, work: Workload, threads: int) -> None:
        import pyrnn

        pyrnn.backend.set_num_threads(threads)
        kind = getattr(pyrnn.layers, SHORT[work.cell])
        last = len(work.units) - 1
        stack = [kind(units, return_sequences=i < last) for i, units in enumerate(work.units)]
        self.model = pyrnn.Sequential([pyrnn.Input((work.steps, work.features)), *stack, pyrnn.layers.Dense(1)])
        self.model.compile(pyrnn.optimizers.Adam(LEARNING_RATE), "mse")
        self.model.set_weights(work.weights())
        self.batch = work.batch

    def train(self, x: Array, y: Array) -> float:
        return float(self.model.train_on_batch(x, y))

    def predict(self, x: Array) -> Array:
        return self.model.predict_on_batch(x)

    @cached_property
    def step(self) -> Any:
        return self.model.stream(self.batch).step


class Keras:
    """Keras 3 on the backend that KERAS_BACKEND names; for "step" it is a stateful model of one time step."""

    def __init__(self, work: Workload, threads: int) -> None:
        if os.environ["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        elif os.environ["KERAS_BACKEND"] == "torch":
            import torch

            torch.set_num_threads(threads)
        import keras

        kind = getattr(keras.layers, SHORT[work.cell])
        last = len(work.units) - 1
        steps, stateful = (1, True) if work.kind == "step" else (work.steps, False)
        stack = [kind(units, return_sequences=i < last, stateful=stateful) for i, units in enumerate(work.units)]
        first = keras.Input(batch_shape=(work.batch, steps, work.features))
        self.model = keras.Sequential([first, *stack, keras.layers.Dense(1)])
        self.model.compile(keras.optimizers.Adam(LEARNING_RATE), "mse")
        self.model.set_weights(work.weights())

    def train(self, x: Array, y: Array) -> float:
        return float(np.asarray(self.model.train_on_batch(x, y)))

    def predict(self, x: Array) -> Array:
        return np.asarray(self.model.predict_on_batch(x))

    def step(self, x: Array) -> Array:
        return self.predict(x[:, None])


class Torch:
    """PyTorch's own RNN, LSTM and GRU, eager; its GRU orders the gates r, z, n and has both biases of Keras's."""

    def __init__(self, work: Workload, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[work.cell]
        weights = work.weights()
        self.layers = torch.nn.ModuleList()
        wide = work.features
        for i, units in enumerate(work.units):
            layer = kind(wide, units, batch_first=True)
            kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
            rows = bias if work.cell == "gru" else [bias, np.zeros_like(bias)]
            values = [kernel.T, recurrent.T, *rows]
            if work.cell == "gru":
                order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
                values = [value[order] for value in values]
            for parameter, value in zip(layer.parameters(), values, strict=True):
                parameter.data = torch.tensor(np.ascontiguousarray(value), dtype=torch.float32)
            self.layers.append(layer)
            wide = units
        self.states: list[Any] = [None] * len(self.layers)
        self.dense = torch.nn.Linear(wide, 1)
        self.dense.weight.data = torch.tensor(weights[-2].T.copy(), dtype=torch.float32)
        self.dense.bias.data = torch.tensor(weights[-1], dtype=torch.float32)
        parameters = [*self.layers.parameters(), *self.dense.parameters()]
        self.adam = torch.optim.Adam(parameters, lr=LEARNING_RATE, eps=EPSILON)

    def _forward(self, x: Any) -> Any:
        for layer in self.layers:
            x, _ = layer(x)
        return self.dense(x[:, -1])

    def train(self, x: Array, y: Array) -> float:
        torch = self.torch
        self.adam.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(self._forward(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        self.adam.step()
        return float(loss)

    def predict(self, x: Array) -> Array:
        with self.torch.inference_mode():
            return self._forward(self.torch.from_numpy(x)).numpy()

    def step(self, x: Array) -> Array:
        with self.torch.inference_mode():
            y = self.torch.from_numpy(x[:, None])
            for i, layer in enumerate(self.layers):
                y, self.states[i] = layer(y, self.states[i])
            return self.dense(y[:, -1]).numpy()


class Jax:
    """JAX without a framework: the input product hoisted, lax.scan over time, one jitted step with donated state."""

    def __init__(self, work: Workload, threads: int) -> None:
        import jax
        import jax.numpy as jnp

        self.weights = [jnp.asarray(w, jnp.float32) for w in work.weights()]
        self.state = [[jnp.zeros_like(w) for w in self.weights] for _ in range(2)]
        self.count = 0

        def cell(h: Any, a: Any, u: Any, b: Any) -> Any:
            if work.cell == "simple_rnn":
                new = jnp.tanh(a + h @ u)
                return new, new
            if work.cell == "lstm":
                h, c = h
                i, f, g, o = jnp.split(a + h @ u, 4, axis=1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h
            az, ar, ag = jnp.split(a, 3, axis=1)
            hz, hr, hg = jnp.split(h @ u + b, 3, axis=1)
            z = jax.nn.sigmoid(az + hz)
            g = jnp.tanh(ag + jax.nn.sigmoid(ar + hr) * hg)
            new = z * h + (1 - z) * g
            return new, new

        def forward(weights: list[Any], x: Any) -> Any:
            sequence = x.transpose(1, 0, 2)
            for i, units in enumerate(work.units):
                w, u, b = weights[3 * i : 3 * i + 3]
                inner = b[1] if work.cell == "gru" else None
                a = sequence @ w + (b[0] if work.cell == "gru" else b)
                zero = jnp.zeros((x.shape[0], units), x.dtype)
                start = (zero, zero) if work.cell == "lstm" else zero
                _, sequence = jax.lax.scan(lambda h, a, u=u, b=inner: cell(h, a, u, b), start, a)
            return sequence[-1] @ weights[-2] + weights[-1]

        def step(weights: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
            loss, gradients = jax.value_and_grad(lambda w: jnp.mean((forward(w, x) - y) ** 2))(weights)
            alpha = LEARNING_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            m = [BETA_1 * a + (1 - BETA_1) * g for a, g in zip(m, gradients, strict=True)]
            v = [BETA_2 * a + (1 - BETA_2) * g * g for a, g in zip(v, gradients, strict=True)]
            weights = [w - alpha * a / (jnp.sqrt(s) + EPSILON) for w, a, s in zip(weights, m, v, strict=True)]
            return loss, weights, m, v

        def next_step(weights: list[Any], states: list[Any], x: Any) -> Any:
            after = []
            for i, state in enumerate(states):
                w, u, b = weights[3 * i : 3 * i + 3]
                state, x = cell(
                    state, x @ w + (b[0] if work.cell == "gru" else b), u, b[1] if work.cell == "gru" else None
                )
                after.append(state)
            return x @ weights[-2] + weights[-1], after

        zeros = [jnp.zeros((work.batch, units)) for units in work.units]
        self.states = [(zero, zero) if work.cell == "lstm" else zero for zero in zeros]
        self._predict, self._step = jax.jit(forward), jax.jit(step, donate_argnums=(0, 1, 2))
        self._next = jax.jit(next_step)

    def train(self, x: Array, y: Array) -> float:
        self.count += 1
        loss, self.weights, *self.state = self._step(self.weights, *self.state, float(self.count), x, y)
        return float(loss)

    def predict(self, x: Array) -> Array:
        return np.asarray(self._predict(self.weights, x))

    def step(self, x: Array) -> Array:
        y, self.states = self._next(self.weights, self.states, x)
        return np.asarray(y)


def _sigmoid(x: Array) -> Array:
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


class NumPy:
    """NumPy written well: time-major, the input product hoisted, in place, one Adam over all weights."""

    def __init__(self, work: Workload, threads: int) -> None:
        self.work = work
        weights = [w.astype(np.float32) for w in work.weights()]
        self.flat = np.concatenate([w.ravel() for w in weights])
        self.gradient = np.zeros_like(self.flat)
        self.m, self.v, self.count = np.zeros_like(self.flat), np.zeros_like(self.flat), 0
        ends = np.cumsum([w.size for w in weights])
        cut = [slice(end - w.size, end) for end, w in zip(ends, weights, strict=True)]
        self.w, self.d = (
            [flat[s].reshape(w.shape) for s, w in zip(cut, weights, strict=True)] for flat in (self.flat, self.gradient)
        )

        self.states = [np.zeros((2, work.batch, units), np.float32) for units in work.units]

    def _layer(self, x: Array, i: int) -> tuple[Array, Any]:
        """Return the states (T + 1, B, H) for x (T, B, F), the first of them zero, and what backward needs."""
        cell, (w, u, b) = self.work.cell, self.w[3 * i : 3 * i + 3]
        steps, batch, units = *x.shape[:2], u.shape[0]
        a = (x.reshape(steps * batch, -1) @ w).reshape(steps, batch, -1)
        a += b[0] if cell == "gru" else b
        h = np.zeros((steps + 1, batch, units), np.float32)
        if cell == "simple_rnn":
            for t in range(steps):
                a[t] += h[t] @ u
                np.tanh(a[t], out=h[t + 1])
            return h, None
        if cell == "lstm":
            c = np.zeros_like(h)
            for t in range(steps):
                z = a[t]
                z += h[t] @ u
                _sigmoid(z[:, : 2 * units])
                np.tanh(z[:, 2 * units : 3 * units], out=z[:, 2 * units : 3 * units])
                _sigmoid(z[:, 3 * units :])
                np.multiply(z[:, units : 2 * units], c[t], out=c[t + 1])
                c[t + 1] += z[:, :units] * z[:, 2 * units : 3 * units]
                np.multiply(z[:, 3 * units :], np.tanh(c[t + 1]), out=h[t + 1])
            return h, (a, c)
        q = np.empty((steps, batch, units), np.float32)
        for t in range(steps):
            z, inner = a[t], h[t] @ u + b[1]
            z[:, : 2 * units] += inner[:, : 2 * units]
            _sigmoid(z[:, : 2 * units])
            q[t] = inner[:, 2 * units :]
            z[:, 2 * units :] += z[:, units : 2 * units] * q[t]
            np.tanh(z[:, 2 * units :], out=z[:, 2 * units :])
            h[t + 1] = z[:, :units] * (h[t] - z[:, 2 * units :]) + z[:, 2 * units :]
        return h, (a, q)

    def _back(self, x: Array, h: Array, saved: Any, dh: Array, i: int, need_dx: bool) -> Array | None:
        """Write the gradients of this layer and return dx (T, B, F), for dh (T, B, H), the gradients of the states."""
        cell, (w, u) = self.work.cell, self.w[3 * i : 3 * i + 2]
        steps, batch, units = *x.shape[:2], u.shape[0]
        da = np.empty((steps, batch, w.shape[1]), np.float32)
        carried = np.zeros((batch, units), np.float32)
        dc, inner = np.zeros_like(carried), da
        if cell == "gru":
            inner = np.empty_like(da)
        for t in reversed(range(steps)):
            d = dh[t] + carried
            if cell == "simple_rnn":
                np.multiply(d, 1 - h[t + 1] ** 2, out=da[t])
                carried = da[t] @ u.T
            elif cell == "lstm":
                a, c = saved
                gi, gf, gg, go = (a[t][:, k * units : (k + 1) * units] for k in range(4))
                y = np.tanh(c[t + 1])
                dc = dc + d * go * (1 - y * y)
                da[t][:, :units] = dc * gg * gi * (1 - gi)
                da[t][:, units : 2 * units] = dc * c[t] * gf * (1 - gf)
                da[t][:, 2 * units : 3 * units] = dc * gi * (1 - gg * gg)
                da[t][:, 3 * units :] = d * y * go * (1 - go)
                dc = dc * gf
                carried = da[t] @ u.T
            else:
                a, q = saved
                z, r, g = (a[t][:, k * units : (k + 1) * units] for k in range(3))
                dg = d * (1 - z) * (1 - g * g)
                da[t][:, :units] = d * (h[t] - g) * z * (1 - z)
                da[t][:, units : 2 * units] = dg * q[t] * r * (1 - r)
                da[t][:, 2 * units :] = dg
                inner[t] = da[t]
                inner[t][:, 2 * units :] *= r
                carried = inner[t] @ u.T + d * z
        rows = steps * batch
        flat, flat_inner = da.reshape(rows, -1), inner.reshape(rows, -1)
        np.matmul(x.reshape(rows, -1).T, flat, out=self.d[3 * i])
        np.matmul(h[:-1].reshape(rows, -1).T, flat_inner, out=self.d[3 * i + 1])
        if cell == "gru":
            self.d[3 * i + 2][0], self.d[3 * i + 2][1] = flat.sum(axis=0), flat_inner.sum(axis=0)
        else:
            self.d[3 * i + 2][...] = flat.sum(axis=0)
        return (flat @ w.T).reshape(x.shape) if need_dx else None

    def _forward(self, x: Array) -> tuple[list[Array], list[Array], list[Any], Array]:
        inputs, states, saved = [np.ascontiguousarray(x.transpose(1, 0, 2))], [], []
        for i in range(len(self.work.units)):
            h, more = self._layer(inputs[-1], i)
            states.append(h)
            saved.append(more)
            inputs.append(h[1:])
        return inputs, states, saved, inputs[-1][-1] @ self.w[-2] + self.w[-1]

    def train(self, x: Array, y: Array) -> float:
        inputs, states, saved, y_pred = self._forward(x)
        error = y_pred - y
        dy = error * np.float32(2 / error.size)
        np.matmul(inputs[-1][-1].T, dy, out=self.d[-2])
        self.d[-1][...] = dy.sum(axis=0)
        dh: Array | None = np.zeros_like(states[-1][1:])
        assert dh is not None
        dh[-1] = dy @ self.w[-2].T
        for i in reversed(range(len(states))):
            assert dh is not None
            dh = self._back(inputs[i], states[i], saved[i], dh, i, need_dx=i > 0)
        self.count += 1
        g = self.gradient
        self.m += (g - self.m) * np.float32(1 - BETA_1)
        self.v += (g * g - self.v) * np.float32(1 - BETA_2)
        alpha = LEARNING_RATE * np.sqrt(1 - BETA_2**self.count) / (1 - BETA_1**self.count)
        self.flat -= np.float32(alpha) * self.m / (np.sqrt(self.v) + np.float32(EPSILON))
        return float(np.mean(error * error))

    def predict(self, x: Array) -> Array:
        return self._forward(x)[-1]

    def step(self, x: Array) -> Array:
        for i, state in enumerate(self.states):
            w, u, b = self.w[3 * i : 3 * i + 3]
            h, units = state[0], u.shape[0]
            if self.work.cell == "gru":
                z, inner = x @ w + b[0], h @ u + b[1]
                z[:, : 2 * units] += inner[:, : 2 * units]
                _sigmoid(z[:, : 2 * units])
                z[:, 2 * units :] += z[:, units : 2 * units] * inner[:, 2 * units :]
                np.tanh(z[:, 2 * units :], out=z[:, 2 * units :])
                h -= z[:, 2 * units :]
                h *= z[:, :units]
                h += z[:, 2 * units :]
            else:
                z = x @ w
                z += h @ u
                z += b
                if self.work.cell == "lstm":
                    g = np.tanh(z[:, 2 * units : 3 * units])
                    _sigmoid(z)
                    state[1] *= z[:, units : 2 * units]
                    state[1] += z[:, :units] * g
                    np.multiply(z[:, 3 * units :], np.tanh(state[1]), out=h)
                else:
                    np.tanh(z, out=h)
            x = h
        return x @ self.w[-2] + self.w[-1]


class _Onnx:
    """The model as an ONNX graph: RNN, LSTM or GRU nodes (time-major, gates in ONNX's order) and a matrix product.

    Where it is to step, one time step with the states as inputs h0, c0, ... and as outputs after y.
    """

    def __init__(self, work: Workload) -> None:
        from onnx import TensorProto, helper, numpy_helper

        weights, nodes, constants = work.weights(), [], []
        orders = {"simple_rnn": [0], "lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}  # of Keras's gates: i o f c; z r h
        self.states: dict[str, Array] = {}
        after: list[str] = []
        nodes.append(helper.make_node("Transpose", ["x"], ["x0"], perm=[1, 0, 2]))
        for i, units in enumerate(work.units):

            def gates(w: Array, units: int = units) -> Array:
                return np.concatenate([w[..., g * units : (g + 1) * units] for g in orders[work.cell]], axis=-1)

            kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
            rows = bias if work.cell == "gru" else [bias, np.zeros_like(bias)]
            for name, value in (
                (f"W{i}", gates(kernel).T[None]),
                (f"R{i}", gates(recurrent).T[None]),
                (f"B{i}", np.concatenate([gates(row) for row in rows])[None]),
                (f"axis{i}", None),
            ):
                array = np.array([1], np.int64) if value is None else np.ascontiguousarray(value, np.float32)
                constants.append(numpy_helper.from_array(array, name))
            kind = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[work.cell]
            extra = {"linear_before_reset": 1} if work.cell == "gru" else {}
            inputs, outputs = [f"x{i}", f"W{i}", f"R{i}", f"B{i}"], [f"y{i}", f"h{i}"]
            if work.kind == "step":
                names = [f"h{i}", f"c{i}"][: 2 if work.cell == "lstm" else 1]
                inputs += ["", *(f"{name}_in" for name in names)]
                outputs = [f"y{i}", *names]
                after += names
                self.states |= {f"{name}_in": np.zeros((1, work.batch, units), np.float32) for name in names}
            nodes.append(helper.make_node(kind, inputs, outputs, hidden_size=units, **extra))
            nodes.append(helper.make_node("Squeeze", [f"y{i}", f"axis{i}"], [f"x{i + 1}"]))
        constants += [
            numpy_helper.from_array(weights[-2].astype(np.float32), "Wd"),
            numpy_helper.from_array(weights[-1].astype(np.float32), "Bd"),
            numpy_helper.from_array(np.array([0], np.int64), "axis"),
        ]
        last = len(work.units) - 1
        nodes.append(helper.make_node("Squeeze", [f"h{last}", "axis"], ["last"]))
        nodes.append(helper.make_node("Gemm", ["last", "Wd", "Bd"], ["y"]))
        inner = list(self.states.values())

        def value(name: str, shape: Any) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        shape = [work.batch, 1 if work.kind == "step" else work.steps, work.features]
        arguments = [value("x", shape), *(value(name, state.shape) for name, state in self.states.items())]
        results = [value("y", [work.batch, 1]), *(value(name, s.shape) for name, s in zip(after, inner, strict=True))]
        graph = helper.make_graph(nodes, "model", arguments, results, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        self.bytes = model.SerializeToString()


class OnnxRuntime:
    """ONNX Runtime, without training."""

    def __init__(self, work: Workload, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        graph = _Onnx(work)
        self.states = graph.states
        self.session = onnxruntime.InferenceSession(graph.bytes, options, providers=["CPUExecutionProvider"])

    def predict(self, x: Array) -> Array:
        return self.session.run(None, {"x": x})[0]

    def step(self, x: Array) -> Array:
        y, *after = self.session.run(None, {"x": x[:, None], **self.states})
        self.states = dict(zip(self.states, after, strict=True))
        return y


class OpenVino:
    """OpenVINO, without training, in float32."""

    def __init__(self, work: Workload, threads: int) -> None:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        graph = _Onnx(work)
        self.states = graph.states
        self.request = core.compile_model(core.read_model(graph.bytes), "CPU", settings).create_infer_request()

    def predict(self, x: Array) -> Array:
        return self.request.infer({"x": x})["y"]

    def step(self, x: Array) -> Array:
        result = self.request.infer({"x": x[:, None], **self.states})
        self.states = {name: result[name.removesuffix("_in")].copy() for name in self.states}
        return result["y"]


RIVALS: dict[str, Any] = {
    "pyrnn": Pyrnn,
    "NumPy": NumPy,
    "PyTorch": Torch,
    "JAX": Jax,
    "Keras/TensorFlow": Keras,
    "Keras/JAX": Keras,
    "Keras/PyTorch": Keras,
    "ONNX Runtime": OnnxRuntime,
    "OpenVINO": OpenVino,
}
KERAS_BACKENDS = {"Keras/TensorFlow": "tensorflow", "Keras/JAX": "jax", "Keras/PyTorch": "torch"}
NEEDS = {
    "PyTorch": ["torch"], "JAX": ["jax"], "Keras/TensorFlow": ["keras", "tensorflow"], "Keras/JAX": ["keras", "jax"],
    "Keras/PyTorch": ["keras", "torch"], "ONNX Runtime": ["onnx", "onnxruntime"], "OpenVINO": ["onnx", "openvino"],
}  # fmt: skip
assert set(GATES) == set(SHORT)
