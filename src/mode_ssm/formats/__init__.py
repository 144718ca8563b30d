"""Recordings in other layouts than T15's: each format is a class here and a line in SOURCES of data/source.py.

Read: files -> what each says of its trials (`files.Found`) -> the checks that every format shares
(`files.IndexedSource`) -> labels and features of one trial at a time. What a format needs beyond the core's packages is
imported when it is used.
"""
