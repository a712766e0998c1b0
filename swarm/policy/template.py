"""Chat templates are programs from strangers: each is rendered once, in a child process with limits, and only its frame is kept.

A template is rendered around a mark that stands for the user's text. What comes before and after the mark is the frame of every prompt, so
no template ever sees a question, an answer or a critique, and one that changes, drops or repeats the user's text is refused.

The child is this file (`child`): jinja2's immutable sandbox, a few seconds of processor time, bounded memory and output, no environment, and
where the system allows it the lock of `tasks/lock.py` (no network, no writing, no files to read). It is told everything on its
standard input and answers on its standard output.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from swarm.bounds import json_of
from swarm.errors import Refused

SOURCE = 65_536  # most bytes of a template
FRAME = 65_536  # most bytes of a frame
CPU_SECONDS, SECONDS = 5, 30.0  # processor time and wall time for one rendering
MEMORY = 512 * 2**20  # bytes the child may have
MARKS = ("openswarmusertext1x", "openswarmusertext2y")  # two, of plain letters: a frame must not depend on the text
ROOT = Path(__file__).resolve().parent.parent.parent  # where the package `swarm` lies


def frame(source: str, system: str | None = None, tokens: dict[str, str] | None = None) -> tuple[str, str]:
    """What `source` (jinja2) puts before and after a user's text, with the assistant's turn opened.

    `system` is the system message, left to the template where None; `tokens` are the variables such as `bos_token` that templates use.
    Raises Refused("chat template") for one that fails, takes too long or too much, or does more than frame the text.
    """
    if len(source.encode("utf-8", "surrogatepass")) > SOURCE:
        raise _refused(f"it has more than {SOURCE} bytes")
    order = {"source": source, "system": system, "tokens": tokens or {}, "marks": MARKS}
    pages = _ask(json.dumps(order))
    parts = [page.split(mark) for page, mark in zip(pages, MARKS, strict=True)]
    if any(len(part) != 2 for part in parts):
        raise _refused("it changes, drops or repeats the user's text")
    if parts[0] != parts[1]:
        raise _refused("it says something else for another text")
    return parts[0][0], parts[0][1]


def _ask(order: str) -> list[str]:
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from swarm.policy.template import child; child()"
    command = [sys.executable, "-I", "-c", start]
    try:
        done = subprocess.run(command, input=order.encode(), capture_output=True, env={}, cwd="/", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _refused(f"it does not end within {SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it takes too much time or memory"]
        raise _refused("".join(c for c in last[0][:200] if c.isprintable()))
    return _pages(done.stdout)


def _pages(reply: bytes) -> list[str]:
    """The child's answer, which is not believed either: one text per mark."""
    try:
        pages = json_of(reply) if len(reply) <= 8 * FRAME else None
    except ValueError:
        pages = None
    if not isinstance(pages, list) or len(pages) != len(MARKS) or not all(isinstance(page, str) and len(page) <= FRAME for page in pages):
        raise _refused(f"it writes more than {FRAME} bytes, or no text")
    return pages


def _refused(why: str) -> Refused:
    return Refused("chat template", f"the model's chat template is refused: {why}", "use a model whose template only frames the user's text")


def child() -> None:
    """Render the order on standard input and write the pages to standard output. Runs in the child only."""
    import contextlib

    order = json.loads(sys.stdin.buffer.read())
    from jinja2.exceptions import TemplateError  # imported before the lock, which leaves little to read

    environment = _environment()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(OSError):  # where there is no lock, jinja2's sandbox and the limits stand alone
        from swarm.tasks.lock import lock

        lock()
    try:
        template = environment.from_string(order["source"])
        pages = [_page(template, order, mark) for mark in order["marks"]]
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(json.dumps(pages))


def _page(template: Any, order: dict[str, Any], mark: str) -> str:
    messages = [{"role": "user", "content": mark}]
    if order["system"] is not None:
        messages.insert(0, {"role": "system", "content": order["system"]})
    page = ""
    for piece in template.generate(messages=messages, add_generation_prompt=True, **order["tokens"]):
        page += piece
        if len(page) > FRAME:
            sys.exit(f"it writes more than {FRAME} characters")
    return page


def _environment() -> Any:
    """What transformers offers to chat templates: loop controls, `tojson`, `strftime_now`, `raise_exception`, `{% generation %}`."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    def raise_exception(message):
        raise TemplateError(str(message))

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
    # one date for all: prompts must not differ from day to day
    environment.globals.update(raise_exception=raise_exception, strftime_now=lambda pattern: datetime(2024, 1, 1).strftime(pattern))
    return environment
