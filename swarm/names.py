"""Two-word names of peers: derived from keys by whoever looks, so nobody can choose or borrow one.

A name is for people only. There are 16,384, so two peers of a large swarm may share one; the peer id tells them apart.
"""

from __future__ import annotations

from swarm.seeds import derive

_ADJECTIVES = """
agile alpine amber ample ancient apricot arctic ardent ashen autumn azure balmy birch blithe bold brass brave breezy bright brisk bronze
calm candid carmine cedar cheery chestnut civil clear clever cobalt copper coral cosmic cosy crimson crisp curious dapper daring dawn deft
dewy diligent dusky eager early earnest ebony elder elm ember emerald fabled fair fern festive fleet floral fond frank fresh frosty gallant
gentle gilded glad golden graceful granite hardy hazel hearty honest humble indigo iron ivory jade jolly jovial keen kind lilac lively loyal
lucid lunar maple marble mellow merry misty modest nimble noble olive opal patient pearl plucky polar prudent quiet rapid rosy ruby russet
sandy sage scarlet serene silver smooth solar spry steady sturdy sunny swift teal tidy topaz velvet vivid warm wise zesty
"""
_ANIMALS = """
adder albatross antelope avocet badger barbet beaver beetle bison bittern bobcat buffalo bunting buzzard caracal caribou cheetah chough
cicada civet cobra condor coot cormorant cougar coyote crane cricket curlew dingo dolphin donkey dormouse dove dunlin eagle egret eland elk
ermine falcon ferret finch firefly flamingo fox gannet gazelle gecko gibbon gopher goshawk grebe grouse gull hamster hare hawk hedgehog
heron hoopoe hornet ibex ibis iguana impala jackal jackdaw jaguar jay kestrel kingfisher kite kiwi koala lapwing lark lemur leopard linnet
lion lizard llama loon lynx macaw magpie mallard manatee marmot marten martin merlin mink mole moose narwhal newt ocelot okapi oriole osprey
otter owl panda panther parrot pelican penguin petrel pika plover puffin puma quail quokka rabbit raven robin salmon seal shrew skylark
sparrow stork swan tapir wren
"""
FIRST, SECOND = tuple(_ADJECTIVES.split()), tuple(_ANIMALS.split())

assert len(set(FIRST)) == len(set(SECOND)) == 128, "a changed list renames every peer"


def name_of(operator: bytes, peer: bytes) -> str:
    """The name, such as `amber-otter`, of an operator (20 bytes) on a peer (32 bytes)."""
    digest = derive("name", operator, peer)
    return f"{FIRST[digest[0] % 128]}-{SECOND[digest[1] % 128]}"


def plain(text: str, limit: int = 200) -> str:
    """Foreign text made safe to show: one line, printable characters only, at most `limit` of them.

    Line breaks and tabs become spaces; what a terminal would obey or reorder (escapes, controls, bidirectional marks,
    surrogates, private use) becomes U+FFFD.
    """
    shown = text[: limit + 1]
    cut = len(shown) > limit
    shown = "".join(" " if c in "\t\n\r\v\f" else c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown[: limit - 1] + "…" if cut else shown
