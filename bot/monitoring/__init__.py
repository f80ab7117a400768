"""Prometheus: the process's counters, and where /metrics is served. Imports no aiogram.

What is measured of the installation is read by services.metrics.
"""
