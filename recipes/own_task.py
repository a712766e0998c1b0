"""A task of your own: which of six numbers is the largest? Copy this file and change three functions.

The node runs it without network, without keys and without other files; it may import what is installed. Try it alone
with `python recipes/own_task.py`.
"""

import random


def draw(seed: bytes) -> tuple[str, str]:
    """A question and its reference. The same seed must give the same question on every machine."""
    rng = random.Random(seed)
    numbers = [rng.randint(10, 99) for _ in range(6)]
    return "max " + " ".join(map(str, numbers)), str(max(numbers))


def score(question, answer: str) -> float:
    """From 0 to 1. `question.prompt` and `question.reference` are what `draw` returned; `answer` is the model's text.

    Answers come from strangers too: never `eval` them.
    """
    return float(answer.rpartition(">")[2].strip() == question.reference and ">" in answer)


def gold(question) -> str:
    """An answer that scores 1, for the self-check at the start (may be left out where the reference is one)."""
    return ">" + question.reference


if __name__ == "__main__":
    print(*draw(b"any seed"))
