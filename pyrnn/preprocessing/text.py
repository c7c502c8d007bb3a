"""Keras 2's text tools: words, their numbers, and rows of counts."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import positive_int

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
MODES = ("binary", "count", "tfidf", "freq")


def text_to_word_sequence(input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text, in lower case and without the characters of `filters`."""
    text = input_text.lower() if lower else input_text
    for character in filters:
        text = text.replace(character, split)
    return [word for word in text.split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """A number from 1 to n - 1 for each word, by a hash: Python's own (another one in each process) or "md5"."""
    function: Callable[[str], int] = hash if hash_function is None else hash_function  # type: ignore[assignment]
    if hash_function == "md5":

        def function(word: str) -> int:
            return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)

    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def one_hot(input_text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """`hashing_trick` with Python's hash; no one-hot rows, in spite of its name in Keras."""
    return hashing_trick(input_text, n, None, filters, lower, split)


class Tokenizer:
    """Numbers words by how often they came: 1 the most frequent, 0 left for padding.

    Args:
        num_words: only numbers below it are given out. oov_token: stands for words never seen, number 1.
        char_level: every character is a word. analyzer: a function of a text that gives its words.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        document_count: int = 0,
    ) -> None:
        self.num_words = None if num_words is None else positive_int("num_words", num_words)
        self.filters, self.lower, self.split, self.char_level = filters, bool(lower), split, bool(char_level)
        self.oov_token, self.analyzer, self.document_count = oov_token, analyzer, document_count
        self.word_counts: Counter[str] = Counter()
        self.word_docs: Counter[str] = Counter()
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self.index_docs: dict[int, int] = {}

    def _words(self, text: Any) -> list[str]:
        if isinstance(text, list) or self.char_level:
            return [word.lower() for word in text] if self.lower else list(text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count and number the words of texts (strings, or lists of words)."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            self.word_counts.update(words)
            self.word_docs.update(set(words))
        ranked = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        names = ranked if self.oov_token is None else [self.oov_token, *(w for w in ranked if w != self.oov_token)]
        self.word_index = {word: number for number, word in enumerate(names, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        self.index_docs = {self.word_index[word]: count for word, count in self.word_docs.items()}

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the words of each text; unknown ones are left out, or get the oov_token's."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one text at a time."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in texts:
            numbers = []
            for word in self._words(text):
                number = self.word_index.get(word, unknown)
                if number is not None and self.num_words and number >= self.num_words:
                    number = unknown
                if number is not None:
                    numbers.append(number)
            yield numbers

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of the numbers, with spaces between them."""
        unknown = self.oov_token
        found = []
        for numbers in sequences:
            words = [
                self.index_word.get(number, unknown) if not self.num_words or number < self.num_words else unknown
                for number in numbers
            ]
            found.append(" ".join(word for word in words if word is not None))
        return found

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> NDArray[np.float64]:
        """`sequences_to_matrix` of the texts' numbers."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Iterable[list[int]], mode: str = "binary") -> NDArray[np.float64]:
        """A row (num_words,) a text: which words it has ("binary"), how often ("count", "freq") or "tfidf"."""
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if not self.num_words and not self.word_index:
            raise ValueError("num_words is not known: give it to the Tokenizer or call fit_on_texts first")
        width = self.num_words or len(self.word_index) + 1
        rows = [list(numbers) for numbers in sequences]
        matrix = np.zeros((len(rows), width))
        for row, numbers in zip(matrix, rows, strict=True):
            for number, count in Counter(number for number in numbers if number < width).items():
                if mode == "tfidf":
                    rarity = math.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
                    row[number] = (1 + math.log(count)) * rarity
                else:
                    row[number] = {"binary": 1, "count": count, "freq": count / len(numbers)}[mode]
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Arguments and what was counted, Keras 2's form."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            "word_counts": json.dumps(self.word_counts),
            "word_docs": json.dumps(self.word_docs),
            "index_docs": json.dumps(self.index_docs),
            "index_word": json.dumps(self.index_word),
            "word_index": json.dumps(self.word_index),
        }

    def to_json(self, **options: Any) -> str:
        """The class name and config as JSON."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **options)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The Tokenizer that `to_json` wrote."""
    config = json.loads(json_string)["config"]
    counted = {
        name: json.loads(config.pop(name))
        for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    }
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts, tokenizer.word_docs = Counter(counted["word_counts"]), Counter(counted["word_docs"])
    tokenizer.word_index = counted["word_index"]
    tokenizer.index_docs = {int(number): count for number, count in counted["index_docs"].items()}
    tokenizer.index_word = {int(number): word for number, word in counted["index_word"].items()}
    return tokenizer
