"""Write the rows of the recipe `sft`, sums of two and three digits in words with their working: `python recipes/sums.py > recipes/sums.jsonl`.

    {"prompt": "three plus five plus nine", "completion": "3+5=8 8+9=17>17"}
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def rows() -> Iterator[dict[str, str]]:
    """All 100 sums of two digits and all 1000 of three."""
    for count in (2, 3):
        for digits in itertools.product(range(10), repeat=count):
            yield {"prompt": " plus ".join(WORDS[digit] for digit in digits), "completion": worked(digits)}


def worked(digits: tuple[int, ...]) -> str:
    """The running sums, then the answer: `3+5=8 8+9=17>17`."""
    sums = list(itertools.accumulate(digits))
    steps = [f"{before}+{digit}={after}" for before, digit, after in zip(sums, digits[1:], sums[1:], strict=False)]
    return f"{' '.join(steps)}>{sums[-1]}"


if __name__ == "__main__":
    for row in rows():
        print(json.dumps(row))
