"""Tag words: sentences of different lengths, a mask for the padding, and metrics that count real words only.

A small grammar writes sentences in which many words ("watch", "light", "cook") are nouns or verbs, depending on the
words around them. An Embedding with `mask_zero=True`, a Bidirectional LSTM and a Dense layer over its steps learn the
tag of each word. Neither the loss nor the accuracy counts the padding: the last lines compute both by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers
from pyrnn.preprocessing.sequence import pad_sequences

EITHER = ["watch", "light", "cook", "paint", "walk", "dance", "drink", "record", "play", "visit"]  # noun or verb
NOUNS = ["dog", "teacher", "garden", "river", "engine", "window", *EITHER]
VERBS = ["see", "follow", "fix", "admire", "find", "hear", *EITHER]
ADJECTIVES = ["old", "quiet", "green", "strange", "small"]
ADVERBS = ["often", "quickly", "never", "gladly"]
TAGS = ["-", "DET", "ADJ", "NOUN", "VERB", "ADV", "AUX"]  # 0 is padding
Tagged = list[tuple[str, str]]


def noun_phrase(rng: np.random.Generator) -> Tagged:
    """Return a phrase such as "the old quiet watch"."""
    adjectives = rng.choice(ADJECTIVES, size=rng.integers(0, 3), replace=False)
    return [
        (str(rng.choice(["the", "a", "every"])), "DET"),
        *((str(word), "ADJ") for word in adjectives),
        (str(rng.choice(NOUNS)), "NOUN"),
    ]


def sentence(rng: np.random.Generator) -> Tagged:
    """Return (adverb) noun phrase, (auxiliary) verb, (noun phrase), (adverb); those in parentheses may be missing."""
    tokens: Tagged = [(str(rng.choice(ADVERBS)), "ADV")] if rng.random() < 0.3 else []
    tokens += noun_phrase(rng)
    if rng.random() < 0.5:
        tokens.append((str(rng.choice(["will", "can", "must"])), "AUX"))
    tokens.append((str(rng.choice(VERBS)), "VERB"))
    if rng.random() < 0.7:
        tokens += noun_phrase(rng)
    if rng.random() < 0.3:
        tokens.append((str(rng.choice(ADVERBS)), "ADV"))
    return tokens


def main(count: int = 600, epochs: int = 8) -> dict[str, Any]:
    """Train the tagger and return what the tests check."""
    pyrnn.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    sentences = [sentence(rng) for _ in range(count)]
    vocabulary = sorted({word for each in sentences for word, _ in each})
    numbers = {word: number for number, word in enumerate(vocabulary, start=1)}  # 0 is padding
    x = pad_sequences([[numbers[word] for word, _ in each] for each in sentences], padding="post")
    y = pad_sequences([[TAGS.index(tag) for _, tag in each] for each in sentences], padding="post")
    print(f"{count} sentences of {(x > 0).sum(axis=1).min()} to {x.shape[1]} words, {(x == 0).mean():.0%} padding")

    model = pyrnn.Sequential(
        [
            layers.Embedding(len(vocabulary) + 1, 16, mask_zero=True),
            layers.Bidirectional(layers.LSTM(16, return_sequences=True)),
            layers.Dense(len(TAGS), activation="softmax"),
        ]
    )
    model.compile(pyrnn.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    held_out = count // 5
    history = model.fit(
        x[held_out:], y[held_out:], epochs=epochs, verbose=2, validation_data=(x[:held_out], y[:held_out])
    ).history  # fmt: skip

    # The results of evaluate, computed by hand: means over the words, without the padding.
    loss, accuracy = model.evaluate(x[:held_out], y[:held_out], batch_size=held_out, verbose=0)
    probabilities, is_word = model.predict(x[:held_out], verbose=0), x[:held_out] > 0
    correct = probabilities.argmax(axis=-1) == y[:held_out]
    truth = np.take_along_axis(probabilities, y[:held_out, :, None], axis=-1)[..., 0]
    by_hand = [-np.log(truth[is_word]).mean(), correct[is_word].mean()]
    print(f"evaluate: loss {loss:.4f}, accuracy {accuracy:.4f}; by hand {by_hand[0]:.4f}, {by_hand[1]:.4f}")

    question = ["the", "watch", "will", "light", "the", "garden"]
    tags = [TAGS[tag] for tag in model.predict([[numbers[word] for word in question]], verbose=0)[0].argmax(axis=-1)]
    print(" ".join(f"{word}/{tag}" for word, tag in zip(question, tags, strict=True)))
    return {"history": history, "evaluated": [loss, accuracy], "by_hand": by_hand, "tags": tags}


if __name__ == "__main__":
    main()
