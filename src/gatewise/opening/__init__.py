"""Model and input to a run, for the command line, for pages and for Python: files, arrays, tables, sound, stores."""
