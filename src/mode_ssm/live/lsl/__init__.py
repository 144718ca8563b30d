"""Lab Streaming Layer, through which EEG, sEEG and ECoG laboratories connect their machines (Kothe et al. 2025).

inlet.py finds a stream by its name and survives its absence, timestamps.py makes frame numbers of its times, markers.py
says when someone speaks; source.py makes them one source of live decoding, and sink.py writes what was decoded.
"""
