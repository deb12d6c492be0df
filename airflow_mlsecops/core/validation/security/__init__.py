"""What the security expectations look for, free of Great Expectations: checks of one cell, and of a table as a whole."""
