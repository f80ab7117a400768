"""SQL of stored settings and of the administrators' journal."""
