"""Sensors: they wait until evidence is there."""
