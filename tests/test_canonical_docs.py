"""docs/canonical.md is complete: a second implementation is written from it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from swarm.proof.canonical.definition import definitions, math
from swarm.proof.canonical.definition.codes import Code

PAGE = (Path(__file__).parent.parent / "docs" / "canonical.md").read_text()


def test_every_operator_and_code_is_named():
    words = set(re.findall(r"\w+", PAGE))
    defined = {name for name, definition in definitions().items() if definition.__module__.startswith("swarm.")}  # other tests define some too
    assert sorted(defined - words) == []
    assert sorted(code.name for code in Code if code.name not in words) == []


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos", "tanh", "erf", "erfc"])
def test_the_coefficients_are_those_of_the_definition(name):
    line = re.search(rf"^    {name} +([0-9a-f ]+)$", PAGE, re.MULTILINE).group(1)
    assert line.split() == [struct.pack(">f", value).hex() for value in getattr(math, name.upper())]


def test_the_constants_are_those_of_the_definition():
    for value in (math.LOG2E, math.MAGIC, -math.LN2, -math.LN2_REST, math.TWO_OVER_PI):
        assert struct.pack(">f", value).hex() in PAGE
    assert ", ".join(struct.pack(">f", value).hex() for value in math.HALF_PI) in PAGE
