"""The judge market on the swarm's network: signed orders to a market's host, its pages to everybody, one log out of all of them.

    page.py     what is published: openings, the entries of one phase, an operator's own account entries
    facts.py    what the chain says, as the log needs it
    tape.py     pages and facts -> one log -> `judge.ledger.State`, the same in whatever order they came
    house.py    the markets that this node hosts: receipts, and pages out of what has a receipt
    post.py     the messages between two members
    store.py    what is on disk
    reader.py   gets the pages of others
    outbox.py   brings own entries to their hosts, and proves what a host left out
    room.py     the threads that tie them together: what a node starts

`judge` decides everything; nothing here changes an amount.
"""
