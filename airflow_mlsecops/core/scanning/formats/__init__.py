"""One module for each family of formats, and the registry that says which bytes belong to which."""
