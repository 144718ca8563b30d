"""Live decoding: feature frames come in while someone speaks, and phonemes and words go out.

A source gives events (events.py), repair.py puts what was lost or damaged right without moving anything in time,
spoken.py decodes, and every sink (sinks.py) is told. session.py is the loop over them.
"""
