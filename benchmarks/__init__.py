"""What Metka costs and how quick it is, measured through its outside: `python -m benchmarks --help`."""
