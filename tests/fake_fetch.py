"""A child that "fetches" the file named by FAKE_RECIPE, in place of `swarm fetch`, for tests without a network."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from swarm import settings

parser = argparse.ArgumentParser()
parser.add_argument("--folder", type=Path)
told = settings.load(parser.parse_args().folder)
if "FAKE_RECIPE" not in os.environ:
    print("error: none of 1 addresses answers\nhint: check the invite", file=sys.stderr)
    sys.exit(4)
shutil.copyfile(os.environ["FAKE_RECIPE"], told.recipe)
