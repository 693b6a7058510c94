"""The mistakes that people make, as edits of a cell's program: no module here knows a cell or a number."""
