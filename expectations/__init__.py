"""Expectation suites that ship with the package, how one is found, and expectations of our own."""
