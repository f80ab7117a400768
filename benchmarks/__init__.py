"""What Metka costs and how quick it is: each module prints what it measured, and on what."""
