"""The mistakes that people make, as edits of a cell's program: nothing here knows a cell, or a number."""
