"""What the security expectations look for, free of Great Expectations: checks of a cell, and of a whole table."""
