"""Text to tokens and back, so that no text of others can pretend to be a turn of the chat.

The chat template is rendered once, around a mark (`template.py`). The control tokens come from that frame only: whatever else becomes part of a
prompt is tokenised with special tokens split, and checked afterwards. Text of others is quoted first: control and invisible
characters go, blank lines (which separate the parts of our prompts) close up, and its length in tokens is bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from transformers import PreTrainedTokenizerBase

from swarm.errors import Refused
from swarm.policy.template import frame

CHARACTERS = 64  # characters that a token may stand for, before a text is cut unseen
JOINERS = "\u200c\u200d"  # invisible, but some scripts are misspelt without them


class Chat:
    """One tokenizer's chat. `system` is the system message; where None the template decides."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, system: str | None = None):
        """Raises Refused("chat template") where the tokenizer's template is not a plain frame around the user's text."""
        self.tokenizer = tokenizer
        before, after = frame(_template(tokenizer), system, _tokens(tokenizer))
        self._head, self._before = self._split(before, last=True)
        self._after, self._tail = self._split(after, last=False)
        framing = {*self._head, *self._tail}
        special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special or i in framing}
        unknown = {tokenizer.unk_token_id} - framing - {tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id}
        self._control = frozenset(special - unknown)

    def prompt(self, text: str, max_tokens: int) -> list[int]:
        """Ids of a whole prompt: the user says `text`, the assistant's turn is open. A text too long for `max_tokens` is cut at its end.

        Raises Refused("chat template") where the frame alone does not fit.
        """
        ids = self._framed(text)
        while len(ids) > max_tokens:
            if not text:
                raise Refused("chat template", f"the chat's frame of {len(ids)} tokens does not fit in {max_tokens}", "raise model.max_length")
            text = self._begin(text, max(0, len(self.encode(text)) - (len(ids) - max_tokens)))
            ids = self._framed(text)
        return ids

    def fill(self, template: str, limit: int, *, own: Mapping[str, str] | None = None, **foreign: str) -> str:
        """`template` with `{name}` replaced, in one pass: what a field brings is never looked at again, and other braces stay.

        `foreign` fields are quoted, of at most `limit` tokens each; `own` fields (a question of a task) go in as they are.
        """
        fields = {name: self.quote(text, limit) for name, text in foreign.items()} | dict(own or {})
        if not fields:
            return template
        names = "|".join(re.escape(name) for name in fields)
        return re.sub(r"\{(" + names + r")\}", lambda found: fields[found[1]], template)

    def quote(self, text: str, limit: int) -> str:
        """Text of others as it may stand in a prompt: printable, without blank lines, at most `limit` tokens."""
        text = text[: CHARACTERS * limit].replace("\r\n", "\n").replace("\r", "\n")
        text = "".join(character for character in text if _shown(character))
        return self._begin(re.sub(r"\n\s*\n", "\n", text).strip(), limit)

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which nothing is special, whatever it contains."""
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate is no text
        ids = self._plain(text)
        if self._control.isdisjoint(ids):
            return ids
        spelt = [i for character in text for i in self._plain(character)]  # some tokenizers know control tokens as plain words
        return [i for i in spelt if i not in self._control]

    def decode(self, ids: list[int] | tuple[int, ...]) -> str:
        """The text of `ids`, without special tokens."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _framed(self, text: str) -> list[int]:
        return self._head + self.encode(self._before + text + self._after) + self._tail

    def _plain(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    def _begin(self, text: str, limit: int) -> str:
        """The longest beginning of `text` that is found to have at most `limit` tokens."""
        ids = self.encode(text)
        cut = min(limit, len(ids))
        while len(ids) > limit:
            text = text[: len(self.decode(ids[:cut]))] if cut > 0 else ""
            ids, cut = self.encode(text), cut - 1
        return text

    def _split(self, text: str, *, last: bool) -> tuple:
        """A frame's half as (ids, text) or (text, ids): ids for all up to (or from) its control token nearest to the user's text.

        What lies between that token and the user's text is tokenised together with it, as transformers does.
        """
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values()} - {""}
        names = "|".join(re.escape(name) for name in sorted(added, key=len, reverse=True))
        found = list(re.finditer(names, text)) if names else []
        if last:
            cut = found[-1].end() if found else 0
            return self.tokenizer.encode(text[:cut], add_special_tokens=False), text[cut:]
        cut = found[0].start() if found else len(text)
        return text[:cut], self.tokenizer.encode(text[cut:], add_special_tokens=False)


def _template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's chat template; where it has none, messages as they are."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if template is None:
        return "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}"
    if not isinstance(template, str):
        raise Refused("chat template", "the model's chat template is no text", "use another model")
    return template


def _tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}


def _shown(character: str) -> bool:
    """Whether a character may stand in a quoted text: no control, invisible, private or surrogate ones but for line ends, tabs and joiners."""
    return character in "\n\t" + JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
