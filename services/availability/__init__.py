"""Which models may be asked now, and by how many requests: circuit breakers, rate limits, the day's quota, slow start.

What a request says and what becomes of its posts belongs in `services.llm` and `services.tagging`.
"""
