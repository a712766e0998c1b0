"""Samples are derived from one forward pass; what does not follow is named by its place, what nobody can tell is no fault."""

import math
from dataclasses import replace

import pytest
import torch
from policy_models import CONFIGS, VOCABULARY, random_model

from swarm.policy import redraw, sampler
from swarm.policy.redraw import Ends, Told
from swarm.seeds import derive

torch.set_num_threads(1)
EOS, PAD = frozenset({1}), 0
PROMPTS = [[5, 6, 7], [9], [8, 3, 2, 11, 30, 4, 21, 7], [33, 12], [9, 9, 9, 9, 9]]
LIMIT = 12
ENDS = Ends(LIMIT, EOS)


def seeds(size: int) -> list[list[bytes]]:
    return [[derive("test", n, g) for g in range(size)] for n in range(len(PROMPTS))]


def written(model, ends: Ends = ENDS, **how) -> tuple[list[Told], list[sampler.Sample]]:
    """Samples, and how they would be told."""
    drawn = sampler.generate(model, PROMPTS, seeds(4), max_tokens=ends.max_tokens, eos=set(ends.eos), pad=PAD, stop=list(ends.stop), **how)
    flat = [(n, g, sample) for n, group in enumerate(drawn) for g, sample in enumerate(group)]
    return [Told(PROMPTS[n], list(sample.ids), seeds(4)[n][g]) for n, g, sample in flat], [sample for *_, sample in flat]


def again(model, told: list[Told], ends: Ends = ENDS, **how) -> list[redraw.Redrawn]:
    return redraw.redraw(model, told, ends, pad=PAD, **how)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
@pytest.mark.parametrize("temperature, top_p", [(1.0, 1.0), (0.7, 0.8)])
def test_an_honest_sample_follows_to_its_end(kind, temperature, top_p):
    model, how = random_model(kind), {"temperature": temperature, "top_p": top_p}
    told, samples = written(model, **how)
    for one, sample in zip(again(model, told, **how), samples, strict=True):
        assert one.place is None and not one.near
        assert (one.sample.ids, one.sample.finished) == (sample.ids, sample.finished)
        assert one.sample.logprobs == pytest.approx(sample.logprobs, abs=2e-5)
    assert len({sample.finished for sample in samples}) == 2, "both ways of ending must be there"


def test_the_first_token_that_does_not_follow_is_named_with_what_follows():
    model = random_model()
    told, samples = written(model)
    for place in (0, 3, 7):
        fitting = [i for i, sample in enumerate(samples) if len(sample.ids) > place + 1]
        forged = [replace(told[i], ids=[*told[i].ids[:place], told[i].ids[place] % 38 + 2, *told[i].ids[place + 1 :]]) for i in fitting]
        for i, one in zip(fitting, again(model, forged), strict=True):
            assert one.place == place and one.sample.ids == samples[i].ids[: place + 1]


def test_a_sample_ends_neither_sooner_nor_later():
    model = random_model()
    told, samples = written(model)
    short = [replace(one, ids=one.ids[:-1]) for one in told if len(one.ids) > 1]
    assert [one.place for one in again(model, short)] == [len(one.ids) for one in short]
    ended = [i for i, sample in enumerate(samples) if sample.finished and len(sample.ids) < LIMIT]
    longer = [replace(told[i], ids=[*told[i].ids, 7]) for i in ended]
    assert [one.place for one in again(model, longer)] == [len(told[i].ids) for i in ended]
    full = [i for i, sample in enumerate(samples) if not sample.finished]
    over = [replace(told[i], ids=[*told[i].ids, 7, 7]) for i in full]
    assert [one.place for one in again(model, over)] == [LIMIT] * len(full)
    assert ended and full


def test_a_stop_tail_ends_a_sample():
    model = random_model()
    tail = tuple(written(model)[1][0].ids[2:4])
    ends = replace(ENDS, stop=tail)
    told, samples = written(model, ends)
    assert all(one.place is None for one in again(model, told, ends))
    stopped = [one for one, sample in zip(told, samples, strict=True) if sample.ids[-2:] == tail]
    over = [replace(one, ids=[*one.ids, 5]) for one in stopped]
    assert [one.place for one in again(model, over, ends)] == [len(one.ids) for one in stopped] and stopped


@pytest.mark.parametrize("bad", [VOCABULARY, 2**20 - 1, -1])
def test_tokens_that_the_model_does_not_have_are_the_first_that_do_not_follow(bad):
    model = random_model()
    told, samples = written(model)
    forged = [replace(one, ids=[*one.ids[:2], bad, *one.ids[3:]]) for one in told if len(one.ids) > 4]
    assert {one.place for one in again(model, forged)} == {2}
    assert {one.place for one in again(model, forged, margin=1e9)} == {2}, "no margin covers a token that does not exist"


def test_what_was_put_after_a_sample_had_ended_is_no_token_of_it():
    """A critique's cue: after EOS (which is left out), after the limit, or drawn by the model itself."""
    model, cue = random_model(), (38, 39)
    ends = replace(ENDS, stop=cue)
    told, samples = written(model, ends)
    put = []
    for one, sample in zip(told, samples, strict=True):
        text = one.ids[:-1] if sample.ids[-1] in EOS else one.ids
        put.append(replace(one, ids=[*text, *cue], put=len(text)))
    for one, sample in zip(again(model, put, ends), samples, strict=True):
        assert one.place is None and one.sample.ids == sample.ids and one.sample.finished == sample.finished
        assert len(one.scores) == len(one.sample.ids) + len(cue) - (sample.ids[-1] in EOS)
    early = [replace(one, ids=[*one.ids[:2], *cue], put=2) for one in put if one.put and one.put > 2]
    assert {one.place for one in again(model, early, ends)} <= {2, 3}, "the model may have begun with the cue"
    late = [replace(one, ids=[*one.ids[: one.put], *[7] * LIMIT, *cue], put=one.put + LIMIT) for one in put]
    assert all(one.place is not None for one in again(model, late, ends))


def test_a_near_tie_is_no_guilt_and_its_distance_is_told():
    model = random_model()
    told, samples = written(model)
    with torch.no_grad():
        logits = model(torch.tensor([[*PROMPTS[0], *samples[0].ids]])).logits[0, len(PROMPTS[0]) - 1 :]
    from swarm.policy.noise import gumbel

    totals = logits[:-1] + gumbel([told[0].seed], range(len(samples[0].ids)), VOCABULARY)[0]
    first, second = totals.topk(2).values.T
    place = int((first - second).argmin())
    distance = float((first - second)[place])
    other = int(totals[place].topk(2).indices[1])
    forged = [replace(told[0], ids=[*told[0].ids[:place], other, *told[0].ids[place + 1 :]])]
    (exact,), (strict,) = again(model, forged), again(model, forged, margin=distance * 0.99)
    assert exact.place == strict.place == place and not strict.near
    (lenient,) = again(model, forged, margin=distance * 1.01)
    assert lenient.place != place and lenient.near[0].place == place and math.isclose(lenient.near[0].behind, distance, rel_tol=1e-3)


@pytest.mark.parametrize("top_p", [0.5, 0.8])
def test_the_edge_of_the_nucleus_has_a_margin_too(top_p):
    """Sampled with another top_p within the margin, tokens at the edge are near, not false."""
    model, how = random_model(scale=0.1), {"temperature": 2.0}
    told, _ = written(model, top_p=top_p * 1.1, **how)
    strict = again(model, told, top_p=top_p, **how)
    assert any(one.place is not None for one in strict), "the edge moved no token: nothing is tested"
    assert all(one.place is None for one in again(model, told, top_p=top_p, margin=0.12, **how))


def test_a_limit_of_no_tokens():
    model, ends = random_model(), Ends(0, EOS)
    nothing, cue, wrong = again(model, [Told([5], [], bytes(32)), Told([5], [7], bytes(32), put=0), Told([5], [7], bytes(32))], ends)
    assert (nothing.place, cue.place, wrong.place) == (None, None, 0)
