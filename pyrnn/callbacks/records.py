"""Logs written elsewhere: a CSV file, a server, TensorBoard."""

from __future__ import annotations

import csv
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """A row of the logs for each epoch in a CSV file; `append` goes on with an existing one."""

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, bool(append)
        self._file: Any = None
        self._writer: csv.DictWriter[str] | None = None
        self._keys: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115  # closed at the end
        self._writer, self._keys = None, []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if self._writer is None:
            self._keys = sorted(logs)
            if not any(name.startswith("val_") for name in logs):
                self._keys += [f"val_{name}" for name in self._keys]  # validation may come in a later epoch
            self._writer = csv.DictWriter(self._file, ["epoch", *self._keys], delimiter=self.separator)
            if not self._has_header:
                self._writer.writeheader()
        row: dict[str, Any] = {"epoch": epoch}
        row.update({name: logs.get(name, "NA") for name in self._keys})
        self._writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._file.close()
        self._writer = None


class RemoteMonitor(Callback):
    """Posts the logs of each epoch to a server, as a form field of JSON or as a JSON body."""

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = dict(headers or {}), bool(send_as_json)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        data = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        if self.send_as_json:
            body, kind = json.dumps(data), "application/json"
        else:
            body, kind = urllib.parse.urlencode({self.field: json.dumps(data)}), "application/x-www-form-urlencoded"
        request = urllib.request.Request(self.root + self.path, body.encode(), {"Content-Type": kind, **self.headers})
        try:
            with urllib.request.urlopen(request, timeout=10):
                pass
        except (urllib.error.URLError, OSError) as error:
            warnings.warn(f"RemoteMonitor could not reach {self.root}: {error}", stacklevel=2)


class TensorBoard(Callback):
    """Scalars of each epoch (and batch), and histograms of the weights, for TensorBoard (extra `tensorboard`).

    Written below log_dir/train and log_dir/validation under Keras's tags. `update_freq`: "epoch", "batch" or a number
    of batches; `histogram_freq`: every how many epochs, 0 for never. There is no TensorFlow graph here to write, so
    `write_graph` takes Keras's values and changes nothing; images, profiles and embeddings are refused.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        refused = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for argument, value in refused.items():
            if value:
                raise ValueError(f"TensorBoard has no {argument} here: leave it out, got {value!r}")
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(f"update_freq must be 'epoch', 'batch' or a number of batches, got {update_freq!r}")
        self.log_dir, self.histogram_freq = os.fspath(log_dir), histogram_freq
        self.write_graph, self.write_steps_per_second = bool(write_graph), bool(write_steps_per_second)
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._step = self._epoch_step = 0
        self._epoch_start = 0.0

    def _write(self, part: str, step: int, values: list[Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if part not in self._writers:
            folder = os.path.join(self.log_dir, part)
            os.makedirs(folder, exist_ok=True)
            self._writers[part] = EventFileWriter(folder)
        self._writers[part].add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _scalars(self, part: str, step: int, scalars: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(part, step, [Summary.Value(tag=tag, simple_value=float(value)) for tag, value in scalars.items()])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            raise ImportError("TensorBoard needs its package: pip install 'pyrnn-core[tensorboard]'") from None
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_start, self._epoch_step = time.perf_counter(), self._step

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.update_freq != "epoch" and self._step % self.update_freq == 0:
            self._scalars("train", self._step, {f"batch_{name}": value for name, value in (logs or {}).items()})
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = dict(logs or {})
        train = {f"epoch_{name}": value for name, value in logs.items() if not name.startswith("val_")}
        train.setdefault("epoch_learning_rate", float(self.model.optimizer.learning_rate))
        if self.write_steps_per_second:
            spent = time.perf_counter() - self._epoch_start
            train["epoch_steps_per_second"] = (self._step - self._epoch_step) / max(spent, 1e-9)
        self._scalars("train", epoch, train)
        held = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        if held:
            self._scalars("validation", epoch, held)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write("train", epoch, [_histogram(weight.path, weight.array) for weight in self.model.weights])

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _histogram(tag: str, values: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

    counts, edges = np.histogram(values, bins=30)
    flat = np.asarray(values, np.float64)
    proto = HistogramProto(
        min=flat.min(), max=flat.max(), num=flat.size, sum=flat.sum(), sum_squares=np.square(flat).sum(),
        bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
    )  # fmt: skip
    return Summary.Value(tag=f"{tag}/histogram", histo=proto)
