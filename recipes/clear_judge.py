"""A program that judges the workings of `open-answers`: the clearest one shows right steps, and the right result after `>`.

    swarm judge serve -- python recipes/clear_judge.py

It reads one market as JSON on stdin and says its choice on stdout. Write your own: a model, a rule, a form for your colleagues.
"""

import json
import re
import sys

STEP = re.compile(r"^(\d+(?:\+\d+)+)=(\d+)$")


def clearness(question: str, answer: str) -> int:
    """A point for each right step, two off for each wrong one; the right result is worth three."""
    working, _, result = answer.strip().rpartition(">")
    steps = [STEP.match(step) for step in working.split()]
    right = sum(step is not None and sum(map(int, step[1].split("+"))) == int(step[2]) for step in steps)
    numbers = re.findall(r"\d+", question)
    return right - 2 * (len(steps) - right) + 3 * (result.strip() == str(sum(map(int, numbers))))


def main() -> None:
    market = json.load(sys.stdin)
    marks = {answer["number"]: clearness(market["question"], answer["text"]) for answer in market["answers"]}
    best = max(marks, key=marks.get)
    print(json.dumps({"choice": best, "sure": 90 if list(marks.values()).count(marks[best]) == 1 else 55}))


if __name__ == "__main__":
    main()
