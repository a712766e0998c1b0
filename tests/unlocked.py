"""A machine without a sandbox, played: the child's few files with a lock that says there is none."""

from pathlib import Path

from swarm.tasks import sandbox


def package(folder: Path) -> Path:
    """A folder to stand in for `sandbox.ROOT`."""
    real = Path(sandbox.__file__).parent
    copy = folder / "copy" / "swarm" / "tasks"
    copy.mkdir(parents=True)
    for part in (copy, copy.parent):
        (part / "__init__.py").write_text("")
    (copy / "cell.py").write_text((real / "cell.py").read_text())
    lock = (real / "lock.py").read_text()
    assert 'sys.platform != "linux"' in lock
    (copy / "lock.py").write_text(lock.replace('sys.platform != "linux"', "True"))
    return folder / "copy"
