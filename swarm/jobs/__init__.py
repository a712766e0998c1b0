"""The compute market: jobs posted, solved, verified and fetched. A job is a swarm of its own with an escrow in `ComputeMarket`."""
