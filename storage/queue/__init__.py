"""The posts table as a queue: claims, leases, attempts, retry requests, models' states and rate limits."""
