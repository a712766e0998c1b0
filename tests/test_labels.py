"""A label is chosen by its log-probability after the prefix, in whatever batch, and drawn in proportion to it."""

import pytest
import torch
from policy_models import CONFIGS, random_model

from swarm.policy import labels
from swarm.seeds import derive

torch.set_num_threads(1)
PREFIXES = [[5, 6, 7], [9], [8, 3, 2, 11, 30, 4]]
ONE, TWO, MIXED = [[10], [11], [12]], [[10, 20], [11, 21]], [[10, 20], [10, 21], [15]]


def by_hand(model, prefix: list[int], options: list[list[int]]) -> list[float]:
    scores = []
    for label in options:
        with torch.no_grad():
            lines = model(torch.tensor([prefix + label])).logits[0].float().log_softmax(-1)[len(prefix) - 1 : -1]
        scores.append(float(lines.gather(1, torch.tensor(label)[:, None]).sum()))
    return torch.tensor(scores).log_softmax(0).tolist()


@pytest.mark.parametrize("kind", sorted(CONFIGS))
@pytest.mark.parametrize("options", [ONE, TWO, MIXED])
def test_labels_are_scored_as_by_hand(kind, options):
    model = random_model(kind)
    for shared in (None, [2, 1, 4]):
        for prefix, choice in zip(PREFIXES, labels.choose(model, PREFIXES, options, shared=shared, rows=4), strict=True):
            wanted = by_hand(model, prefix, options)
            assert choice.logprobs == pytest.approx(wanted, abs=2e-5)
            assert choice.index == max(range(len(options)), key=wanted.__getitem__)
            assert choice.ids == tuple(options[choice.index]) and len(choice.token_logprobs) == len(choice.ids)


def test_a_seed_draws_labels_in_proportion():
    model = random_model(scale=0.1)
    seeds = [derive("label test", i) for i in range(3000)]
    choices = labels.choose(model, [[5, 6, 7]] * 3000, ONE, seeds, rows=500)
    counts = torch.bincount(torch.tensor([c.index for c in choices]), minlength=3).double()
    wanted = torch.tensor(by_hand(model, [5, 6, 7], ONE)).exp().double() * 3000
    assert wanted.min() > 100 and float(((counts - wanted) ** 2 / wanted).sum()) < 13.8  # 1 in 1000 at two degrees of freedom
    again = labels.choose(model, [[5, 6, 7]], ONE, [seeds[17]])[0]
    assert again.index == choices[17].index and 0 < again.probabilities[again.index] < 1


@pytest.mark.parametrize("options", [[[10]], [[10], []]])
def test_a_choice_needs_two_labels_with_tokens(options):
    with pytest.raises(ValueError):
        labels.choose(random_model(), PREFIXES, options)
