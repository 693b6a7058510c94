"""HDF5, read: as much of the format as Keras' files use, and nothing of it is trusted.

The usual library for HDF5 is written in C; a corrupted file can crash the process that reads it, or hang it.
Here every number of a file is checked before it is used: each place against the file's length, each count against the
bytes left, and a structure that leads back into itself ends. What is read: the superblocks 0 to 3, both kinds of object
headers and of groups, attributes, and datasets that are contiguous, compact, or in chunks (under a B-tree of version
1) with deflate and shuffle. Links to other places, data in other files and virtual datasets are refused by name.

Source: The HDF Group, "HDF5 File Format Specification", version 3.0.
"""

from gatewise.interop.containers.hdf5.array import Dataset
from gatewise.interop.containers.hdf5.file import MAGIC, HDF5File
from gatewise.interop.containers.hdf5.groups import Group, open_root

__all__ = ["MAGIC", "Dataset", "Group", "HDF5File", "open_root"]
