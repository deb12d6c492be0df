"""Detectors of poison, one file each. Each reports on its own: poison that vouches for itself beats any single view."""
