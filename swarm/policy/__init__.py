"""The model: loading it, asking it, and drawing from it in a way that anyone can repeat.

Reading order: `model.py` (what a recipe's model becomes), `chat.py` (text to tokens), `sampler.py` (rollouts), `labels.py` (choices).
"""
