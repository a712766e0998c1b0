"""A thread beside the node: it goes on until it is stopped, and a bug in it reaches whoever asks."""

import threading

import pytest

from swarm.beat import Beat


def test_a_beat_goes_on_until_it_is_stopped():
    done = threading.Semaphore(0)
    beat = Beat("test", 0.01, done.release)
    beat.await_end(0.0)  # one that never began is over
    beat.start()
    assert all(done.acquire(timeout=5) for _ in range(3))
    beat.stop()
    beat.await_end(5)
    beat.require_alive()
    assert not beat.is_alive()


def test_a_bug_ends_it_and_is_raised_by_whoever_asks(capsys):
    def fail():
        raise KeyError("a bug")

    beat = Beat("test", 0.01, fail)
    beat.start()
    beat.await_end(5)
    with pytest.raises(KeyError, match="a bug"):
        beat.require_alive()
    assert "a bug" in capsys.readouterr().err
