"""Redis streams, through which the processes of a BRAND rig speak with one another (Ali et al. 2024).

server.py knows where a server is, reader.py reads what is new in its streams and survives its absence. What an entry
says stands in entries.py, its place in time in numbers.py, when someone speaks in tasks.py; source.py makes them one
source of live decoding, and sink.py writes to a stream what was decoded.
"""
