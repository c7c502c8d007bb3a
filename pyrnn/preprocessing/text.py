"""Texts as sequences of word numbers, as in Keras 2."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.function_rules import Function, FunctionOf
from pyrnn.rules import Either, Whole
from pyrnn.typing import Flag, Index, Name, Size, Text
from pyrnn.validation import WrongType, described, shown

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
MODES = ("binary", "count", "tfidf", "freq")
Analyzer = Callable[[str], Sequence[str]]


@checked
def text_to_word_sequence(
    input_text: Text, filters: Text = FILTERS, lower: Flag = True, split: Name = " "
) -> list[str]:
    """Split a text into words.

    Args:
        input_text: The text.
        filters: Characters that count as `split`.
        lower: Whether to convert the text to lower case.
        split: The separator of words.

    Returns:
        The words, without empty ones.

    Raises:
        TypeError: If an argument is not a string.

    Example:
        >>> from pyrnn.preprocessing.text import text_to_word_sequence
        >>> text_to_word_sequence("Now is the time, now!")
        ['now', 'is', 'the', 'time', 'now']
    """
    if lower:
        input_text = input_text.lower()
    parts = input_text.translate({ord(character): split for character in filters}).split(split)
    return [word for word in parts if word]


@checked
def one_hot(
    input_text: Text,
    n: Annotated[int, Whole(2)],
    filters: Text = FILTERS,
    lower: Flag = True,
    split: Name = " ",
    analyzer: Annotated[Analyzer, FunctionOf("text")] | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word, by Python's `hash`.

    Numbers differ from process to process unless PYTHONHASHSEED is set; `hashing_trick` with "md5" is stable.

    Args:
        input_text: The text.
        n: At least 2.
        filters: See `text_to_word_sequence`.
        lower: See `text_to_word_sequence`.
        split: See `text_to_word_sequence`.
        analyzer: A function that returns the words of a text, used instead of filters, lower and split.

    Returns:
        One number per word; different words may share one.

    Raises:
        ValueError: If n is less than 2.

    Example:
        >>> from pyrnn.preprocessing.text import one_hot
        >>> len(one_hot("one two three", n=10))
        3
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


@checked
def hashing_trick(
    text: Text,
    n: Annotated[int, Whole(2)],
    hash_function: Annotated[Callable[[str], int] | str, Either(rules.Text(), Function(1, 1))] | None = None,
    filters: Text = FILTERS,
    lower: Flag = True,
    split: Name = " ",
    analyzer: Annotated[Analyzer, FunctionOf("text")] | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word.

    Args:
        text: The text.
        n: At least 2.
        hash_function: None for Python's `hash`, "md5" for one that is the same in every process, or a function of a
            word.
        filters: See `text_to_word_sequence`.
        lower: See `text_to_word_sequence`.
        split: See `text_to_word_sequence`.
        analyzer: A function that returns the words of a text, used instead of filters, lower and split.

    Returns:
        One number per word; different words may share one.

    Raises:
        ValueError: If n is less than 2, or for another hash_function.

    Example:
        >>> from pyrnn.preprocessing.text import hashing_trick
        >>> hashing_trick("one two one", n=100, hash_function="md5")
        [39, 78, 39]
    """
    if hash_function == "md5":
        hash_function = _md5
    elif hash_function is None:
        hash_function = hash
    if not callable(hash_function):
        raise ValueError(f"hash_function must be None, 'md5' or a function, got {shown(hash_function)}")
    sequence = text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    return [hash_function(word) % (n - 1) + 1 for word in sequence]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers words by frequency: the most frequent one is 1, and 0 is no word.

    `word_counts`, `word_docs` (texts with a word), `word_index`, `index_word` and `index_docs` hold what was learned.

    Args:
        num_words: Only the num_words - 1 most frequent words get a number; None for all.
        filters: See `text_to_word_sequence`.
        lower: See `text_to_word_sequence`.
        split: See `text_to_word_sequence`.
        char_level: Whether to number characters instead of words.
        oov_token: A word that replaces unknown ones, with the number 1; without it they are dropped.
        analyzer: A function that returns the words of a text, used instead of filters, lower and split.
        document_count: Texts seen so far.

    Raises:
        TypeError: If an argument has another kind.

    Example:
        >>> from pyrnn.preprocessing.text import Tokenizer
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["the cat", "the dog"])
        >>> tokenizer.texts_to_sequences(["the dog", "a bird"])
        [[1, 3], []]
    """

    @checked
    def __init__(
        self,
        num_words: Size | None = None,
        filters: Text = FILTERS,
        lower: Flag = True,
        split: Name = " ",
        char_level: Flag = False,
        oov_token: Text | None = None,
        analyzer: Annotated[Analyzer, FunctionOf("text")] | None = None,
        document_count: Index = 0,
    ) -> None:
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.document_count = document_count
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: defaultdict[str, int] = defaultdict(int)
        self.index_docs: defaultdict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Learn the words of texts, in addition to what was learned before.

        Args:
            texts: Strings, or lists of words.

        Raises:
            TypeError: If `texts` holds anything else; nothing is learned then.
        """
        documents = [list(self._words(text)) for text in _all_of("texts", texts)]
        for document in documents:
            self.document_count += 1
            for word in document:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(document):
                self.word_docs[word] += 1
        by_count = sorted(self.word_counts, key=lambda word: self.word_counts[word], reverse=True)
        vocabulary = by_count if self.oov_token is None else [self.oov_token, *by_count]
        # A word that is also the oov_token takes the later number, as in Keras.
        self.word_index = {word: number for number, word in enumerate(vocabulary, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Count in how many sequences each number occurs, for `sequences_to_matrix`.

        Args:
            sequences: Lists of numbers (T_i,).
        """
        lists = _number_lists(sequences)
        self.document_count += len(lists)
        for sequence in lists:
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Return the numbers of the known words of each text.

        Args:
            texts: Strings, or lists of words.

        Returns:
            One list of numbers per text.
        """
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """Yield the numbers of the known words of each text.

        Args:
            texts: Strings, or lists of words.

        Yields:
            One list of numbers per text.
        """
        unknown = self._unknown()
        for text in _all_of("texts", texts):
            numbers = (self._through(self.word_index.get(word), unknown) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of numbers.

        Args:
            sequences: Lists of numbers (T_i,).

        Returns:
            One text per sequence, with spaces between the words.
        """
        return list(self.sequences_to_texts_generator(_number_lists(sequences)))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield the words of numbers.

        Args:
            sequences: Lists of numbers (T_i,).

        Yields:
            One text per sequence, with spaces between the words.
        """
        unknown = self._unknown()
        for sequence in _all_of("sequences", sequences):
            numbers = (self._through(n if n in self.index_word else None, unknown) for n in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> NDArray[np.float64]:
        """Return a matrix with a row per text and a column per number.

        Args:
            texts: Strings, or lists of words.
            mode: See `sequences_to_matrix`.

        Returns:
            An array (number of texts, num_words).
        """
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> NDArray[np.float64]:
        """Return a matrix with a row per sequence and a column per number.

        Args:
            sequences: Lists of numbers (T_i,).
            mode: "binary": 1 if the number occurs; "count": how often, c; "freq": c / length; "tfidf": (1 + log c) *
                log(1 + texts / (1 + texts with the number)).

        Returns:
            An array (number of sequences, num_words).

        Raises:
            ValueError: For another mode, or if nothing was learned that the mode needs.
        """
        if not isinstance(mode, str) or mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {shown(mode)}")
        columns = self.num_words or (len(self.word_index) + 1 if self.word_index else 0)
        if not columns:
            raise ValueError("the Tokenizer needs num_words or texts to learn from (fit_on_texts) before a matrix")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("the Tokenizer must learn from texts (fit_on_texts) before mode 'tfidf'")
        lists = _number_lists(sequences)
        matrix = np.zeros((len(lists), columns))
        for row, sequence in zip(matrix, lists, strict=True):
            for number, count in Counter(n for n in sequence if n < columns).items():
                row[number] = self._entry(mode, number, count, len(sequence))
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments and what was learned; the analyzer is not included.

        Returns:
            A dict; what was learned is JSON text.
        """
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
        """Return `get_config` as JSON text.

        Args:
            **options: Of `json.dumps`.

        Returns:
            The text, which `tokenizer_from_json` reads.
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)

    def _words(self, text: Any) -> Sequence[str]:
        if isinstance(text, list):
            if not all(isinstance(word, str) for word in text):
                raise WrongType(f"texts must hold strings or lists of words, got {shown(text)}")
            return [word.lower() for word in text] if self.lower else text
        if not isinstance(text, str) and self.analyzer is None:
            raise WrongType(f"texts must hold strings or lists of words, got {shown(text)}")
        if self.char_level:
            return str(text.lower() if self.lower else text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def _unknown(self) -> int | None:
        """The number of the oov_token."""
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def _through(self, number: int | None, unknown: int | None) -> int | None:
        """A number that is not too large, else that of the oov_token, else None."""
        return unknown if number is None or (self.num_words and number >= self.num_words) else number

    def _entry(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        if mode == "binary":
            return 1.0
        return (1 + math.log(count)) * math.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))


def _all_of(argument: str, values: Any) -> Iterable[Any]:
    """The same values, which must be a list or another iterable, and not a string."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise WrongType(f"{argument} must be a list, got {shown(values)}")
    return values


def _number_lists(sequences: Any) -> list[list[int]]:
    """Lists of whole numbers, checked before any is used."""
    lists = []
    for sequence in _all_of("sequences", sequences):
        numbers = list(_all_of("sequences", sequence))
        for number in numbers:
            Whole(0).check("sequences", number)
        lists.append(numbers)
    return lists


@checked
def tokenizer_from_json(json_string: Text) -> Tokenizer:
    """Create the Tokenizer that `to_json` described, in pyrnn or in Keras.

    Args:
        json_string: What `to_json` returned.

    Returns:
        The Tokenizer.

    Raises:
        ValueError: If the text is not such a description.

    Example:
        >>> from pyrnn.preprocessing.text import Tokenizer, tokenizer_from_json
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["the cat"])
        >>> tokenizer_from_json(tokenizer.to_json()).word_index
        {'the': 1, 'cat': 2}
    """
    names = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    config = described("json_string", json_string, names)
    learned = {name: json.loads(config.pop(name)) for name in names}
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts = OrderedDict(learned["word_counts"])
    tokenizer.word_docs = defaultdict(int, learned["word_docs"])
    tokenizer.index_docs = defaultdict(int, {int(number): count for number, count in learned["index_docs"].items()})
    tokenizer.index_word = {int(number): word for number, word in learned["index_word"].items()}
    tokenizer.word_index = learned["word_index"]
    return tokenizer


explain(__name__)
