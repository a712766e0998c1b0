"""The chain as the node sees it: one typed client for the contracts, and a local chain for swarms that bring none.

Only this package knows ABI, transactions and JSON-RPC. `anvil` runs the local chain and `proxy` shows it to others,
`link` is what a node must know of a chain, `contracts` what was compiled, `client.Chain` reads and sends, `outbox`
makes sure that what must be sent is sent once, `history` remembers what was seen. Importing any of them is quick:
the coders (eth_abi, eth_account) are loaded at their first use.
"""
