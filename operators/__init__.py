"""Operators: each control and each gate is a task. All are thin; the work is the core's."""
