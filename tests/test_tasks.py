"""The task protocol, the built-in tasks, and the mix of a recipe's tasks."""

import random

import pytest

from swarm import recipe as recipes
from swarm.errors import TaskError
from swarm.seeds import derive
from swarm.tasks import task as tasks
from swarm.tasks.builtin import SOURCES, Builtin, worked
from swarm.tasks.mix import Mix
from swarm.tasks.task import Question, grade, held_out

BUILTINS = [{"kind": "builtin", "name": name, "source": name} for name in SOURCES]


def make(*tasks: dict, **more) -> recipes.Recipe:
    return recipes.parse({"name": "test", "tasks": list(tasks), **more})


@pytest.mark.parametrize("source", SOURCES)
def test_builtin_passes_its_own_check_and_grades(source):
    task = Builtin(source, source)
    tasks.check(task, 50)
    question = task.draw(b"1" * 32)
    assert task.score(question, worked(question)) == 1
    assert task.score(question, question.reference) == 0, "an answer follows a >"
    assert task.score(question, f"> {question.reference} ") == 1
    assert task.score(question, f">{question.reference}>0") == 0, "only the last > counts"


def test_builtin_questions_read_as_documented():
    by_prompt = {name: Builtin(name, name).draw(b"x" * 32) for name in SOURCES}
    a, b = map(int, by_prompt["addition"].prompt.split("+"))
    assert by_prompt["addition"].reference == str(a + b)
    word, *numbers = by_prompt["maximum"].prompt.split()
    assert word == "max" and len(numbers) == 4 and by_prompt["maximum"].reference == max(numbers)
    _, letter, _, text = by_prompt["letters"].prompt.split()
    assert len(text) == 8 and by_prompt["letters"].reference == str(text.count(letter))


def test_working_of_an_addition():
    question = Question.of("addition", *SOURCES["addition"](random.Random(b"seed")))
    a, b = map(int, question.prompt.split("+"))
    ones, tens = a % 10 + b % 10, a // 10 + b // 10 + (a % 10 + b % 10) // 10
    assert worked(question) == f"{a % 10}+{b % 10}={ones} {a // 10}+{b // 10}+{ones // 10}={tens}>{a + b}"


def test_questions_of_known_seeds_never_change():
    prompts = [Builtin(name, name).draw(derive("vector")).prompt for name in SOURCES]
    assert prompts == VECTOR, "another prompt for the same seed splits every running swarm"


VECTOR = ["14+24", "max 14 24 82 26", "count a in aabcdccd"]


def test_held_out_is_a_tenth_and_never_trained_on():
    with Mix(make(*BUILTINS)) as mix:
        task = mix.tasks["addition"]
        share = sum(held_out(task.draw(derive("t", i))) for i in range(2000)) / 2000
        assert 0.07 < share < 0.13
        trained = [mix.question(derive("q", i)) for i in range(500)]
        assert not any(held_out(question) for question in trained)
        kept = mix.heldout(50)
    assert {name: len(questions) for name, questions in kept.items()} == dict.fromkeys(SOURCES, 50)
    for questions in kept.values():
        assert all(map(held_out, questions)) and len({question.prompt for question in questions}) == 50


def test_questions_derive_from_recipe_and_seed_alone():
    one, two = Mix(make(*BUILTINS)), Mix(make(*BUILTINS, name="other-name"))
    assert [one.question(derive("q", i)) for i in range(20)] == [two.question(derive("q", i)) for i in range(20)]
    assert one.heldout(5) == two.heldout(5)
    assert one.heldout(5) != Mix(make(*BUILTINS, seed=1)).heldout(5)


def test_weights_and_specialties():
    mix = Mix(make({**BUILTINS[0], "weight": 3}, BUILTINS[1]))
    drawn = [mix.question(derive("q", i)).task for i in range(1000)]
    assert 0.68 < drawn.count("addition") / 1000 < 0.82
    assert {mix.question(derive("q", i), specialty=1).task for i in range(20)} == {"maximum"}
    assert mix.question(derive("q"), specialty=63).task == "maximum", "a specialty beyond the list wraps around"


def test_constant_answer_baseline():
    mix = Mix(make(*BUILTINS))
    questions = [Question.of("addition", f"{i}+1", reference) for i, reference in enumerate(["2", "2", "2", "9"])]
    assert mix.constant(questions) == 0.75
    assert mix.constant([]) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None, "1", [1], 1j])
def test_a_score_that_is_no_number_is_an_error_not_a_zero(value):
    with pytest.raises(TaskError, match="scorer returned"):
        grade("t", value)


def test_scores_are_clamped():
    assert [grade("t", v) for v in (10**400, 1e30, -5, 0.25, True)] == [1, 1, 0, 0.25, 1]


def test_self_check_names_a_wrong_scorer():
    class Wrong(Builtin):
        def gold(self, question):
            return question.reference

    with pytest.raises(TaskError, match="gold answer of"):
        tasks.check(Wrong("addition", "addition"))


def test_self_check_names_a_draw_that_does_not_depend_on_its_seed():
    class Restless(Builtin):
        def draw(self, seed):
            return super().draw(random.randbytes(32))

    with pytest.raises(TaskError, match="two questions"):
        tasks.check(Restless("addition", "addition"))


@pytest.mark.parametrize("prompt, reference", [(None, "x"), ("q", 5), ("", "x"), (" \n", "x"), ("q" * 100_000, "x")])
def test_impossible_questions_are_named(prompt, reference):
    with pytest.raises(TaskError, match="task t: "):
        Question.of("t", prompt, reference)


def test_lone_surrogates_do_not_reach_a_hash():
    assert held_out(Question.of("t", "a\ud800b", "x")) in (True, False)


def test_a_task_with_too_few_questions_is_named():
    class One(Builtin):
        def draw(self, seed):
            return Question.of(self.name, "held out 13", "x")

    mix = Mix(make(BUILTINS[0]))
    mix.tasks["addition"] = One("addition", "addition")
    with pytest.raises(TaskError, match="addition: .*held-out"):
        mix.question(derive("q")) if held_out(One("addition", "addition").draw(b"")) else mix.heldout(1)
