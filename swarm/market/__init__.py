"""The judge market on the swarm's network: signed orders to a market's host, its pages to everybody, one log out of all of them.

What is published, and what follows from it
    page.py     openings, the entries of one phase, an operator's own account entries
    facts.py    what the chain says, as the log needs it; grants.py: who gets credits
    binder.py   the pages of one tape, bounded
    tape.py     pages and facts -> one log -> `judge.ledger.State`, the same in whatever order they came
    history.py  the log's root at every epoch's end, and what a final one closes; comparison.py: a room whose history is another

A member's room
    house.py    the markets that this node hosts: receipts, and pages out of what has a receipt
    post.py     the messages between two members; reader.py gets the pages of others, feeds.py all of one member's
    store.py    what is on disk
    outbox.py   brings own entries to their hosts, and proves what a host left out
    room.py     the threads that tie them together; guest.py: a room's operator that has no node

What a node does in it
    questions.py   which of its questions become markets; asking.py: those that a person wants to open
    trading.py     opens, bids by beliefs.py, claims; testimony.py: critiques as evidence
    seats.py       votes of its operator; jury.py: those of the frozen judge, by juror.py; watcher.py: disputes

What a person uses
    visit.py    a room that hosts nothing; voter.py: what screens and verbs see of one

`judge` decides everything; nothing here changes an amount.
"""
