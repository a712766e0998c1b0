"""The canonical kernels are compiled once, load, give the definition's bits in every build, and say it plainly where they cannot be built."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from swarm.proof.canonical import build, native
from swarm.proof.canonical.build import BUILDS, Build, Unbuilt, shared_object
from swarm.proof.canonical.definition import elementwise as defined
from swarm.proof.canonical.definition.machine import Machine
from swarm.proof.canonical.ops import Unsupported, elementwise, recording

SPECIAL = [0.0, -0.0, 1.0, -1.5, float("inf"), -float("inf"), float("nan"), 1e-45, -1e-40, 3.4e38, 1e-38, 7.25]


def words(tensor: torch.Tensor) -> np.ndarray:
    return tensor.contiguous().numpy().view(np.uint32).ravel()


def special(*shape: int) -> torch.Tensor:
    """Numbers of all kinds, not a number with a payload and a sign among them."""
    some = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    flat = some.view(-1)
    flat[: len(SPECIAL)] = torch.tensor(SPECIAL)[: flat.numel()]
    if flat.numel() > 20:
        flat.view(torch.int32)[15:17] = torch.tensor([0x7FC12345, -0x00345678], dtype=torch.int32)
    return some


@pytest.mark.parametrize("name", ["native", "wide16", "sse2"])
def test_operators_give_the_definitions_words_on_any_layout(name):
    if not BUILDS[name].loads:
        pytest.skip(f"{name} does not run on this machine")
    wide, row = special(4, 9, 6, 16), special(6, 1)
    layouts = [(special(7, 33), special(33)), (wide.transpose(1, 2), special(6, 1, 16)), (wide[:, ::2, 1:], row[1:].expand(5, 16)),
               (special(1).expand(3, 5), special(5)), (torch.tensor(2.0), torch.tensor(-0.0)), (special(0, 3), special(1, 3))]  # fmt: skip
    with native.using(BUILDS[name]):
        for a, b in layouts:
            for alpha in (1.0, -0.3):
                m = Machine()
                wanted = defined.add(m, m.take(a.numpy()), m.take(b.numpy()), alpha=alpha).array().ravel()
                got = elementwise.add(a, b, alpha)
                assert np.array_equal(words(got), wanted)
                assert got.stride() == (a + b).stride()  # code that follows may view it
            m = Machine()
            assert np.array_equal(words(elementwise.neg(a)), defined.neg(m, m.take(a.numpy())).array().ravel())


def test_an_output_may_be_an_input_and_threads_change_nothing():
    a, b = special(300, 301), special(300, 301)
    wanted = words(a.clone() + 0).copy()
    try:
        for count in (1, 2, 4):
            native.threads(count)
            c = a.clone()
            assert elementwise.add(c, b, 0.5, c) is c
            wanted = words(c).copy() if count == 1 else wanted
            assert np.array_equal(words(c), wanted)
    finally:
        native.threads(torch.get_num_threads())


def test_subnormals_are_kept_whatever_the_program_has_set():
    tiny = torch.tensor([1e-40, 2e-45])
    torch.set_flush_denormal(True)
    try:
        got = elementwise.add(tiny, tiny)
    finally:
        torch.set_flush_denormal(False)
    assert words(got).tolist() == (words(tiny) * 2).tolist()


def test_the_pool_serves_several_threads_and_a_forked_child():
    native.threads(3)
    a = special(500, 999)
    wanted = words(elementwise.neg(a))
    wrong: list[int] = []
    threads = [threading.Thread(target=lambda: wrong.extend([1] * (not np.array_equal(words(elementwise.neg(a)), wanted)))) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(words(elementwise.neg(a)), wanted) else 1)
    assert os.waitpid(child, 0)[1] == 0 and not wrong
    native.threads(torch.get_num_threads())


def test_another_type_is_refused_by_name():
    with pytest.raises(Unsupported, match="add of torch.float64 on cpu"):
        elementwise.add(torch.ones(2), torch.ones(2, dtype=torch.float64))
    with pytest.raises(Unsupported, match="meta"):
        elementwise.neg(torch.ones(2, device="meta"))


def test_a_recorder_hears_of_every_call():
    heard = []

    class Listener:
        def before(self, name, tensors, attributes):
            heard.append((name, sorted(tensors), attributes))

        def after(self, name, tensors, attributes, outputs):
            heard.append(outputs[0].tolist())

    with recording(Listener()):
        torch.ops.canonical.add(torch.ones(1), torch.ones(1), 0.5)
    elementwise.neg(torch.ones(1))
    assert heard == [("add", ["a", "b"], {"alpha": 0.5}), [1.5]]


def test_a_build_is_made_once_and_by_one(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "KERNELS", tmp_path / "sources")
    build.KERNELS.mkdir()
    (build.KERNELS / "one.c").write_text('#include "one.h"\nint one(void) { return ONE; }\n')
    (build.KERNELS / "one.h").write_text("#define ONE 1\n")
    quick = Build("quick", flags=("-O0", "-ffp-contract=off"))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(shared_object(quick))) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert len(set(found)) == 1 and len(found) == 3
    assert capfd.readouterr().err.count("compiling the canonical kernels (quick), once\n") == 1
    assert sorted(path.suffix for path in found[0].parent.iterdir()) == [".lock", ".so"]
    (build.KERNELS / "one.h").write_text("#define ONE 2\n")
    assert shared_object(quick) != found[0]


def test_no_compiler_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    missing = Build("missing", ("no-such-compiler",))
    assert not missing.loads
    with pytest.raises(Unbuilt, match="no C compiler") as raised:
        shared_object(missing)
    assert "install gcc" in raised.value.hint and "pinned" in raised.value.hint
    with pytest.raises(Unbuilt, match="does not compile"):
        shared_object(Build("broken", flags=("-O0", "-DW=3")))
    assert not list((build.folder()).glob("*.so"))
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Unbuilt, match="cannot be kept") as raised:
        shared_object()
    assert "XDG_CACHE_HOME" in raised.value.hint


def test_what_another_account_may_write_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "KERNELS", tmp_path / "sources")
    build.KERNELS.mkdir()
    (build.KERNELS / "one.c").write_text("int one(void) { return 1; }\n")
    quick = Build("quick", flags=("-O0", "-ffp-contract=off"))
    before = os.umask(0)
    try:
        made = shared_object(quick)
    finally:
        os.umask(before)
    assert shared_object(quick) == made
    for place in (made, made.parent):
        place.chmod(0o777)
        with pytest.raises(Unbuilt, match=f"others can write {place}"):
            shared_object(quick)
        place.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: made.stat().st_uid + 1)
    if made.stat().st_uid == 0:
        os.chown(made, 12345, -1)
    with pytest.raises(Unbuilt, match="others can write"):
        shared_object(quick)


@pytest.mark.parametrize("function", ["reserved", "workspace"])
def test_a_kernel_without_memory_ends_the_process_and_says_so(function):
    code = f"import ctypes; from swarm.proof.canonical import native; native.library().{function}(ctypes.c_size_t(2**60))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT and "out of memory" in done.stderr
