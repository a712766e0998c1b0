"""The model card beside an exported model: what it is, how it was trained, what was measured, for whom it is not."""

from __future__ import annotations

from swarm.recipe import Recipe
from swarm.result import PeerResult


def text(recipe: Recipe, report: PeerResult) -> str:
    """The card as Markdown, with the front matter that the hub reads. Everything in it is from the recipe and the report."""
    rows = recipe.learn.method == "sft"
    tasks = ", ".join([*(task.name for task in recipe.tasks), *([f"rows of {recipe.learn.data}"] if rows else [])])
    trained = report.trained
    what = f"{recipe.learn.batch} rows each" if rows else f"{trained.own} own groups and {trained.foreign} of other peers"
    lines = [
        "---",
        f"tags: [openswarm, {'sft' if rows else 'reinforcement-learning, grpo'}]",
        "---",
        f"# {report.name}: a peer of the swarm `{recipe.name}`",
        "",
        recipe.about or "No description was given.",
        "",
        f"- start model: `{recipe.model.source}`{' with LoRA' if recipe.model.lora else ''}, {recipe.model.dtype}",
        f"- recipe hash: `{recipe.hash.hex()}`, seed {recipe.seed}",
        f"- tasks: {tasks}",
        f"- {report.steps} optimizer steps in {report.rounds} rounds, on {what}",
        "",
        "| task | held-out accuracy before | after | best constant answer |",
        "|---|---|---|---|",
        *(_row(task, report) for task in report.heldout.after),
        "",
        "Accuracy is greedy, on questions that no peer trained on. The model was trained on these tasks alone"
        + (", from rows that a stranger may have written," if rows else ", partly on text written by other peers of an open swarm,"),
        "and was not tested for anything else.",
    ]
    return "\n".join(lines) + "\n"


def _row(task: str, report: PeerResult) -> str:
    before, after, constant = (values.get(task) for values in (report.heldout.before, report.heldout.after, report.heldout.constant))
    return "| " + " | ".join([task, *("–" if value is None else f"{value:.3f}" for value in (before, after, constant))]) + " |"
