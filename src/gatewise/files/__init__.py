"""Files: safe writing, budgets for reading, safetensors and NumPy files, tables of text."""
