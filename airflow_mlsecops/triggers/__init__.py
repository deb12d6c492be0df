"""Triggers: what waits in the triggerer while a sensor holds no worker."""
