"""The languages in which pages and sheets are written: their words, and translations of what Python says."""
