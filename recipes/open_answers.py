"""A task that no program scores: show how you add two numbers. Which working is clearer, people say.

Copy this file and write your own questions. A judged task needs `draw` alone; with a `score` as well, answers can be evaluated, though no
reward comes from it.
"""

import random


def draw(seed: bytes) -> tuple[str, str]:
    """A question, and no reference: there is no right answer to compare with. The same seed must give the same question on every machine."""
    rng = random.Random(seed)
    return f"{rng.randint(10, 99)}+{rng.randint(10, 99)}", ""


if __name__ == "__main__":
    print(*draw(b"any seed"))
