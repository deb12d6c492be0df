"""Label and data poisoning: is there an attack, which rows, which source, how sure."""
