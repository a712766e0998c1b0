"""OpenSwarm: strangers fine-tune a language model together by reinforcement learning.

Read `node.py` first: it tells one round from top to bottom.
"""

__version__ = "0.1.0"
