"""Expectation suites that ship with the package, and how one is found; later also expectations of our own."""
