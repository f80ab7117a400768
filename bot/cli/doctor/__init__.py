"""`python -m bot doctor`: one line a check. A check is a function in the file of its topic, named in `run.CHECKS`."""
