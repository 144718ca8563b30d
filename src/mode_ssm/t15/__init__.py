"""The T15 layout: session folders of HDF5 files, read and written; nothing else in the house knows HDF5.

Read: session folders -> an index of each file, made in a process apart and kept as JSON -> labels and features.
Importing this loads no torch, so that the processes that write a simulation and that read damaged files start fast.
"""
