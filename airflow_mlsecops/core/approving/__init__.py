"""People's decisions: what they are asked, how they answer with their own keys, and where that leaves a request."""
