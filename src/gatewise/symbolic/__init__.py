"""The cell as data: formulas, the programs made of them, and what runs those."""
