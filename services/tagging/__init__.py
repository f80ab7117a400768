"""From a post that is due to its tags: the worker, retries and batches, and the use cases that ask for tags.

Whether a model may be asked belongs in `services.availability`, one HTTP request in `services.llm`.
"""
