"""Controls: each one is a function from the verified private copy of an artifact to a report.

A control reads the copy it is given and nothing else, never writes to it, and never raises for what it *found*: a
finding is an answer. It raises ``DataError`` for data that it can't judge, which the operator signs as a FAIL, and
``ConfigurationError`` for a mistake in the Dag, which leaves no statement: a gate that looks for one says NO.
"""
