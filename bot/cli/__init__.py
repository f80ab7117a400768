"""The commands of `python -m bot`, a file each. bot.__main__ names them and their options."""
