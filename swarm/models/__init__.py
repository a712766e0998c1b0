"""Trained models by the million: leaves, the lists they travel in, and the index over all of them.

    model    a leaf: what a training ended with, and what it began with
    listing  a batch's leaves as one blob, with its tree
    waiting  leaves that wait to be posted, and batches on their way to the chain
    truth    which leaves the chain's own records bear out: those of epochs here, those of deliveries in `jobs`
    index    where every model stands, rebuilt by anyone from events and lists
    lineage  from a model back to the state that everyone began with

A batch is believed by nobody: whether a leaf is trained is decided by comparing it with the leaf that the records of its training make.
"""
