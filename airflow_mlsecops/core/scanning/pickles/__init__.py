"""A verifier of pickles that never unpickles: decoder, stack and memo machine, reviewed reconstructors."""
