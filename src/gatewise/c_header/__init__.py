"""A network as one header of C, which keeps its state: `write_c`."""

from gatewise.c_header.writing import CHeader, write_c

__all__ = ["CHeader", "write_c"]
