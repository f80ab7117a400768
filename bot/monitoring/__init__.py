"""Prometheus: the process's counters, and where /metrics is served. Imports no aiogram."""
