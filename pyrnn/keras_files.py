"""Data sets and files that Keras downloads, read from where Keras keeps them; nothing is downloaded here."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[Array, Array]
# What a pickled array of lists is made of.
_PICKLED = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")} | {
    (f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")
}


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    *args: Any,
    cache_subdir: str = "datasets",
    cache_dir: str | None = None,
    **options: Any,
) -> str:
    """Return the path of a file that Keras would download, if it is on the disk.

    Args:
        fname: Its name; by default that in `origin`. An absolute path is taken as it is.
        origin: The address.
        *args: Further options of Keras, which concern downloads.
        cache_subdir: Folder below `cache_dir`.
        cache_dir: Folder of Keras, by default `~/.keras`, or that in the environment variable `KERAS_HOME`.
        **options: Further options of Keras, which concern downloads.

    Returns:
        The path.

    Raises:
        FileNotFoundError: If there is no such file; the message says where to put it.
    """
    name = fname or str(origin).rpartition("/")[2]
    path = Path(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / cache_subdir / name
    if not path.exists():
        source = f" from {origin}" if origin else ""
        raise FileNotFoundError(f"pyrnn downloads nothing: get {name}{source} and put it at {path}")
    return str(path)


class _Unpickler(pickle.Unpickler):
    """Reads arrays of lists; code in a file never runs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED:
            raise pickle.UnpicklingError(f"the file may hold arrays and lists only, got {module}.{name}")
        return super().find_class(module, name)


def _arrays(path: str, names: Sequence[str]) -> list[Array]:
    """The arrays of a `.npz` file, also those of lists."""
    arrays = []
    with zipfile.ZipFile(path) as archive:
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                version = npy.read_magic(stream)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                if not read(stream)[2].hasobject:
                    with archive.open(f"{name}.npy") as again:
                        arrays.append(npy.read_array(again, allow_pickle=False))
                else:
                    arrays.append(np.asarray(_Unpickler(stream).load()))
    return arrays


class Mnist:
    """`keras.datasets.mnist`: digits of 28 x 28 pixels."""

    @staticmethod
    def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
        """Return ((x_train, y_train), (x_test, y_test)).

        Args:
            path: Name of the file.
        """
        x_train, y_train, x_test, y_test = _arrays(get_file(path), ("x_train", "y_train", "x_test", "y_test"))
        return (x_train, y_train), (x_test, y_test)


class Imdb:
    """`keras.datasets.imdb`: reviews of films as lists of word numbers."""

    @staticmethod
    def load_data(
        path: str = "imdb.npz",
        num_words: int | None = None,
        skip_top: int = 0,
        maxlen: int | None = None,
        seed: int = 113,
        start_char: int | None = 1,
        oov_char: int | None = 2,
        index_from: int = 3,
    ) -> tuple[Pair, Pair]:
        """Return ((x_train, y_train), (x_test, y_test)), in Keras's order.

        Args:
            path: Name of the file.
            num_words: Words from this number on are rare: they become `oov_char`.
            skip_top: Words below this number become `oov_char` too.
            maxlen: Longest review that is kept.
            seed: Seed of the order.
            start_char: Number in front of each review, or None.
            oov_char: Number of the words that are left out; None removes them.
            index_from: Number that is added to each word.
        """
        arrays = _arrays(get_file(path), ("x_train", "y_train", "x_test", "y_test"))
        rng = np.random.RandomState(seed)
        sets: list[tuple[list[list[int]], Array]] = []
        for x, y in (arrays[:2], arrays[2:]):
            order = np.arange(len(x))
            rng.shuffle(order)
            start = [] if start_char is None else [start_char]
            texts = [[*start, *(word + index_from for word in text)] for text in x[order]]
            keep = [maxlen is None or len(text) < maxlen for text in texts]
            sets.append(([text for text, wanted in zip(texts, keep, strict=True) if wanted], y[order][keep]))
        last = num_words or max(max(text) for texts, _ in sets for text in texts)

        def limited(text: list[int]) -> list[int]:
            if oov_char is None:
                return [word for word in text if skip_top <= word < last]
            return [word if skip_top <= word < last else oov_char for word in text]

        train, test = ((_objects([limited(text) for text in texts]), y) for texts, y in sets)
        return train, test

    @staticmethod
    def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
        """Return the number of each word.

        Args:
            path: Name of the file.
        """
        index: dict[str, int] = json.loads(Path(get_file(path)).read_text(encoding="utf-8"))
        return index


def _objects(lists: list[list[int]]) -> Array:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array
