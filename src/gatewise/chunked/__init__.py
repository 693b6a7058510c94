"""Models over labelled data in chunks: on the threads of one machine, or on a cluster of many."""
