"""The part of the UI that is ours: it reads the evidence store, shows what it verified, and changes nothing."""
