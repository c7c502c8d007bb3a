"""Logs written to a file or sent to a server."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TextIO

import numpy as np

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.rules import Dict
from pyrnn.states import Rule, flag, list_of, optional, text
from pyrnn.typing import FilePath, Flag, Text
from pyrnn.validation import shown, warn

__all__ = ["CSVLogger", "RemoteMonitor"]

# Seconds after which a server that does not answer counts as out of reach, so that training can continue.
TIMEOUT = 10


class CSVLogger(Callback):
    """Writes one row per epoch: `epoch` and the logs in alphabetical order, "NA" for those that an epoch lacks.

    Columns are those of the first epoch, with their `val_` counterparts even if only later epochs validate. When
    training resumes from a backup, the file contains the rows of the past epochs and no others.

    Args:
        filename: The file.
        separator: One character between fields.
        append: Whether to add rows to an existing file, without a second header.

    Raises:
        TypeError: If separator is not a string.
        OSError: In training, if the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> from pyrnn.callbacks import CSVLogger
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = CSVLogger(f"{folder}/log.csv")
        ...     history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, callbacks=[logger], verbose=0)
        ...     pathlib.Path(folder, "log.csv").read_text().splitlines()[0]
        'epoch,loss,val_loss'
    """

    only_writes = True
    transient = {"csv_file": None, "writer": None}  # noqa: RUF012  # read only

    @checked
    def __init__(self, filename: FilePath, separator: Text = ",", append: Flag = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self.append_header = True
        self.writer: csv.DictWriter[str] | None = None
        self.csv_file: TextIO | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.append and os.path.exists(self.filename):
            self.append_header = os.path.getsize(self.filename) == 0
        self._close()
        self.csv_file = open(self.filename, "a" if self.append else "w", encoding="utf-8")  # noqa: SIM115  # on_train_end closes it
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the row of an epoch.

        Raises:
            OSError: If the file cannot be written.
        """
        logs = logs or {}
        assert self.csv_file is not None
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        row = {"epoch": epoch} | {key: _cell(logs.get(key, "NA")) for key in self.keys}
        try:
            if self.writer is None:
                self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
                if self.append_header:
                    self.writer.writeheader()
            self.writer.writerow(row)
            self.csv_file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self.csv_file.close()
            raise OSError(error.errno, f"cannot write {self.filename!r} ({error.strerror or error})") from error

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def get_state(self) -> dict[str, Any]:
        with open(self.filename, encoding="utf-8", newline="") as file:
            return {"keys": self.keys, "append_header": self.append_header, "text": file.read()}

    def state_rules(self) -> dict[str, Rule]:
        return {"keys": optional(list_of(text)), "append_header": flag, "text": text}

    def set_state(self, state: dict[str, Any]) -> None:
        self.keys, self.append_header = state["keys"], state["append_header"]
        self._close()
        self.csv_file = open(self.filename, "w", encoding="utf-8", newline="")  # noqa: SIM115  # on_train_end closes it
        self.csv_file.write(state["text"])
        self.csv_file.flush()
        if self.keys is not None:
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)

    def _close(self) -> None:
        if self.csv_file is not None and not self.csv_file.closed:
            self.csv_file.close()
        self.writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and not value.ndim):
        return value
    return f'"[{", ".join(map(str, value))}]"'


class RemoteMonitor(Callback):
    """Posts the epoch's number and logs to `root` + `path` after each epoch.

    A server that cannot be reached causes a warning; its answers are ignored.

    Args:
        root: The server, with "http://" or "https://".
        path: The path on the server.
        field: The field of the form that holds the JSON.
        headers: Additional headers of the request.
        send_as_json: Whether to send the JSON itself instead of a form.

    Raises:
        ValueError: If root does not begin with "http://" or "https://".

    Example:
        >>> from pyrnn.callbacks import RemoteMonitor
        >>> RemoteMonitor("https://example.org", send_as_json=True).path
        '/publish/epoch/end/'
    """

    only_writes = True

    @checked
    def __init__(
        self,
        root: Text = "http://localhost:9000",
        path: Text = "/publish/epoch/end/",
        field: Text = "data",
        headers: Annotated[Mapping[str, str], Dict()] | None = None,
        send_as_json: Flag = False,
    ) -> None:
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise ValueError(f"root must begin with http:// or https://, got {shown(root)}")
        self.root, self.path, self.field, self.headers, self.send_as_json = root, path, field, headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        import urllib.error  # imported here: they take longer to load than pyrnn
        import urllib.parse
        import urllib.request

        values = {name: v.item() if isinstance(v, np.ndarray | np.generic) else v for name, v in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            error.close()
        except OSError as error:
            warn(f"RemoteMonitor cannot reach {self.root}: {error}")
