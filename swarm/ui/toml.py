"""A recipe written back as TOML, every key with the sentence that its field carries. `recipe.load` reads it again."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pydantic import BaseModel

from swarm.recipe import Recipe

WIDTH = 110


def document(recipe: Recipe) -> str:
    """The whole recipe with explanations; unset keys appear as comments."""
    lines = _keys(recipe, "")
    return "\n".join(lines).strip() + "\n"


def _keys(section: BaseModel, path: str) -> list[str]:
    """Scalar keys of a section first, then its tables: TOML's order."""
    scalars, tables = [], []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        where = f"{path}{name}"
        if isinstance(value, BaseModel):
            tables += ["", *_comment(type(value).__doc__), f"[{where}]", *_keys(value, f"{where}.")]
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            for entry in value:
                tables += ["", *_comment(type(entry).__doc__), f"[[{where}]]", *_keys(entry, f"{where}.")]
        else:
            scalars += [*_comment(field.description), f"# {name} is not set" if value is None else f"{name} = {_value(value)}"]
    return scalars + tables


def _comment(sentence: str | None) -> list[str]:
    text = " ".join((sentence or "").split())
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # scalars are written as in JSON, DEL apart
