"""What a tag is: normalisation, keys and names, a user's vocabulary; and when two texts may share tags.

How a model is asked for tags is in `services.llm`.
"""
