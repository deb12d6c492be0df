"""Controls: each one is a function from the verified private copy of an artifact to a report.

A control reads the copy it is given and nothing else, never writes to it, and never raises for what it *found*: a
finding is an answer. It raises ``DataError`` or ``ConfigurationError`` for what it can't judge; then there is no
statement, and a gate that looks for one says NO.
"""
