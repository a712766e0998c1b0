"""Nested text ends in an error, whatever recursion limit a library has set."""

import json
import subprocess
import sys

import pytest

from swarm import recipe
from swarm.bounds import DEPTH, json_of
from swarm.errors import RecipeError

DEEP = b"[" * 60_000


def test_json_within_the_bound_is_read_as_it_is():
    value = {"a": ["[[[[", '"]}', {"b": [1, 2.5, None, True]}]}
    assert json_of(json.dumps(value).encode()) == value
    nested = b"[" * DEPTH + b"]" * DEPTH
    assert json_of(nested) == json.loads(nested)


@pytest.mark.parametrize("data", [b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), DEEP, b'{"a":' * 5_000, b"nonsense", b'"' + b"\\" * 50_001])
def test_what_is_deeper_or_no_json_is_a_value_error(data):
    with pytest.raises(ValueError):
        json_of(data)


def test_a_deep_recipe_ends_no_process_even_where_a_library_raised_the_recursion_limit():
    code = "import sys; sys.setrecursionlimit(10**6); from swarm import recipe; recipe.from_bytes(b'[' * 60_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "RecipeError" in done.stderr


def test_a_deep_recipe_is_refused_in_one_sentence():
    with pytest.raises(RecipeError, match="not JSON"):
        recipe.from_bytes(DEEP)
