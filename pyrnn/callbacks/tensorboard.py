"""Logs and weights for TensorBoard, in Keras's form (extra `tensorboard`)."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.rules import Dict, Either, ListOf, Whole
from pyrnn.states import Rule, count
from pyrnn.typing import FilePath, Flag, Index
from pyrnn.validation import positive_int, shown, warn

__all__ = ["TensorBoard"]

if TYPE_CHECKING:
    from pyrnn.parameters import Weight

Array = NDArray[Any]
# Images of one weight that are written at most, as in tf.summary.image.
LARGEST_COUNT = 3


class TensorBoard(Callback):
    """Writes events to `log_dir`/train and `log_dir`/validation.

    After each epoch `epoch_<name>` of the logs and the learning rate; after every `update_freq` batches `batch_<name>`;
    after each evaluation `evaluation_<name>_vs_iterations`.

    Args:
        log_dir: The folder.
        histogram_freq: Epochs between histograms of the weights; 0 for none.
        write_graph: Whether to write the model's architecture.
        write_images: Whether to write pictures of the weights with the histograms.
        write_steps_per_second: Whether to write the speed of each epoch, and of the batches that are written.
        update_freq: "epoch", "batch", or a number of batches.
        profile_batch: 0; profiles need TensorFlow.
        embeddings_freq: 0; the embedding projector needs TensorFlow.
        embeddings_metadata: None.

    Raises:
        ValueError: For options that need TensorFlow.
        ImportError: When training begins, if the package `tensorboard` is missing.

    Example:
        >>> from pyrnn.callbacks import TensorBoard
        >>> TensorBoard("logs", update_freq="batch").update_freq
        1
    """

    remembers = ("_batches", "_test_batches")

    @checked
    def __init__(
        self,
        log_dir: FilePath = "logs",
        histogram_freq: Index = 0,
        write_graph: Flag = True,
        write_images: Flag = False,
        write_steps_per_second: Flag = False,
        update_freq: Annotated[str | int, Either(rules.Text(), Whole(0, LARGEST_COUNT))] = "epoch",
        profile_batch: Annotated[
            int | Sequence[int], Either(Whole(0, LARGEST_COUNT), ListOf(Whole(0, LARGEST_COUNT)))
        ] = 0,
        embeddings_freq: Index = 0,
        embeddings_metadata: Annotated[str | Mapping[str, str], Either(rules.Text(), Dict())] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("profile_batch", profile_batch), ("embeddings_freq", embeddings_freq),
                            ("embeddings_metadata", embeddings_metadata)):  # fmt: skip
            if value:
                raise ValueError(f"{name} must be left out, got {shown(value)}: it needs TensorFlow")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = (
            update_freq if update_freq == "epoch" else 1 if update_freq == "batch" else
            positive_int("update_freq", update_freq)
        )  # fmt: skip
        self._writers: dict[str, _Writer] = {}
        self._batches = self._test_batches = self._iterations = 0
        self._batch_start = self._epoch_start = 0.0

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._close()
        if self.write_graph:
            try:
                text = json.dumps({"class_name": type(model).__name__, "config": model.get_config()})
            except (TypeError, ValueError, NotImplementedError) as error:
                warn(f"TensorBoard omits the graph, which has no JSON form: {error}")
            else:
                self._writer("train").graph("keras", text)

    def state_rules(self) -> dict[str, Rule]:
        return {"_batches": count(), "_test_batches": count()}

    only_writes = True
    transient = {"_writers": {}}  # noqa: RUF012  # read only

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._batches = 0

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        self._batch_start = time.time()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._due(self._batches):
            return
        writer = self._writer("train")
        if self.write_steps_per_second:
            writer.scalar("batch_steps_per_second", 1 / (time.time() - self._batch_start), self._batches)
        for name, value in (logs or {}).items():
            writer.scalar(f"batch_{name}", value, self._batches)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._test_batches += 1

    def on_test_end(self, logs: Logs | None = None) -> None:
        if self.update_freq != "epoch" and not self._due(self._test_batches):
            return
        writer = self._writer("validation")
        for name, value in (logs or {}).items():
            writer.scalar(f"evaluation_{name}_vs_iterations", value, int(self.model.optimizer.iterations))
        writer.flush()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._iterations, self._epoch_start = int(self.model.optimizer.iterations), time.time()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        values = {**(logs or {}), "learning_rate": float(optimizer.learning_rate)}
        if self.write_steps_per_second:
            steps = int(optimizer.iterations) - self._iterations
            values["steps_per_second"] = steps / (time.time() - self._epoch_start)
        for name, value in values.items():
            where = "validation" if name.startswith("val_") else "train"
            self._writer(where).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._writer("train").histogram(f"{weight.path}/histogram", weight.array, epoch)
                if self.write_images and (images := _images(weight)) is not None:
                    self._writer("train").images(f"{weight.path}/image", images, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _due(self, batches: int) -> bool:
        return self.update_freq != "epoch" and batches % int(self.update_freq) == 0

    def _writer(self, name: str) -> _Writer:
        if name not in self._writers:
            self._writers[name] = _Writer(os.path.join(self.log_dir, name))
        return self._writers[name]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


class _Writer:
    """One file of events."""

    def __init__(self, folder: str) -> None:
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise ImportError(
                "the TensorBoard callback needs the package tensorboard: pip install 'pyrnn-core[tensorboard]'"
            ) from None
        self._file = EventFileWriter(folder)
        self.flush, self.close = self._file.flush, self._file.close

    def scalar(self, tag: str, value: Any, step: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(scalar_pb(tag, float(value)), step)

    def histogram(self, tag: str, values: Array, step: int) -> None:
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        self._add(histogram_pb(tag, values), step)

    def images(self, tag: str, images: Array, step: int) -> None:
        """`images` (N, height, width, channels), values of 0 to 1."""
        from PIL import Image
        from tensorboard.plugins.image.metadata import create_summary_metadata

        pixels = np.clip(np.nan_to_num(images) * 255.5, 0, 255).astype(np.uint8)
        parts = [str(images.shape[2]).encode(), str(images.shape[1]).encode()]
        for picture in pixels[:LARGEST_COUNT]:
            buffer = io.BytesIO()
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, "PNG")
            parts.append(buffer.getvalue())
        self._strings(tag, parts, create_summary_metadata(None, None, converted_to_tensor=True), step)

    def graph(self, tag: str, text: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata

        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        self._strings(tag, text.encode(), SummaryMetadata(plugin_data=plugin), 0)

    def _strings(self, tag: str, value: bytes | list[bytes], metadata: Any, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.util.tensor_util import make_tensor_proto

        tensor = make_tensor_proto(value)
        self._add(Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]), step)

    def _add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._file.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _images(weight: Weight) -> Array | None:
    """A weight as images (N, height, width, 1): a vector as a column, a matrix with its wider side horizontal."""
    values = np.squeeze(weight.array)
    if values.ndim == 1:
        return values.reshape(1, -1, 1, 1)
    if values.ndim == 2:
        return (values.T if values.shape[0] > values.shape[1] else values)[None, ..., None]
    if values.ndim == 3:
        return np.transpose(values, (2, 0, 1))[..., None]
    return None
