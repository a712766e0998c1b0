"""The conformance suite: its inputs are the same everywhere, its digests are the definition's, every build passes, and a wrong one is named."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from swarm.cli import app
from swarm.proof.canonical import check, native, vectors
from swarm.proof.canonical.build import BUILDS, CONTRACTED, NATIVE
from swarm.proof.canonical.cases import Draw, families

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
CASES = [case for cases in families().values() for case in cases]


def test_inputs_follow_from_the_name_alone():
    first, again, other = Draw("silu/wild"), Draw("silu/wild"), Draw("silu/normal")
    assert first.words(4).tolist() == again.words(4).tolist() != other.words(4).tolist()
    assert Draw("a").words(4).tolist() == [2821698229, 706137737, 2886141799, 1243478974]
    wild = Draw("wild").wild(4096).view(np.uint32)
    kinds = {0, 0x80000000, 1, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0x00800000}
    assert kinds <= set(wild.tolist()) and 0.2 < np.isfinite(wild.view(np.float32)).mean() < 0.99
    normal = Draw("normal").normal(10_000)
    assert abs(float(normal.mean())) < 0.05 and 1.0 < float(normal.std()) < 1.3
    assert 0 < Draw("u").positive(1000).min() < Draw("u").positive(1000).max() < 1


def test_every_case_has_a_vector_and_every_operator_a_case():
    assert vectors.vectors().keys() == {case.name for case in CASES}, "python -m swarm.proof.canonical.vectors"
    assert {case.operator for case in CASES} == check.operators().keys() <= vectors.definitions().keys()
    assert all(case.name.split("/")[0] == case.operator for case in CASES)


def test_vectors_are_the_definitions():
    """A sample here; all of them: python -m swarm.proof.canonical.vectors, and git diff."""
    known = vectors.vectors()
    for case in CASES[:: max(1, len(CASES) // 12)]:
        assert vectors.digest(vectors.defined(case)) == known[case.name], case.name


@needs_compiler
def test_the_native_build_passes():
    assert list(check.checked(NATIVE)) == []


@needs_compiler
@pytest.mark.skipif(CONTRACTED.compiler() is None, reason="no gcc on this machine")
def test_a_build_that_contracts_is_named():
    """The negative control: its compiler may fuse a product with a sum."""
    result = CliRunner().invoke(app, ["canonical", "check", "--build", "contracted", "--definition", "addmm"])
    assert result.exit_code == 1 and "differs in" in result.output and "not canonical" in str(result.exception)


@needs_compiler
def test_a_wrong_word_is_found(monkeypatch):
    case = CASES[0]
    right = check.computed(case)
    monkeypatch.setattr(check, "computed", lambda each: [words ^ (words == words.flat[3]) for words in right])
    (found, *_) = check.checked(NATIVE, case.operator)
    assert found.operator == case.operator and "is 0x" in found.where


def test_questions_that_have_no_answer_are_bad_input():
    for arguments in (["--build", "itanium"], ["--definition", "frobnicate"]):
        result = CliRunner().invoke(app, ["canonical", "check", *arguments])
        assert type(result.exception).__name__ == "InputError" and result.exception.hint


def test_without_a_compiler_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(native, "_library", None)
    monkeypatch.setattr(native, "_loaded", {})
    result = CliRunner().invoke(app, ["canonical", "check"])
    assert result.exception.exit_code == 5 and "no C compiler" in str(result.exception) and "gcc" in result.exception.hint


def test_lists_and_json():
    told = json.loads(CliRunner().invoke(app, ["canonical", "check", "--list", "--json"]).output)
    assert told["builds"].keys() == BUILDS.keys() and sorted(sum(told["operators"].values(), [])) == sorted({case.operator for case in CASES})
