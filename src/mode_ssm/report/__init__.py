"""Reports of training runs: one HTML file each, without scripts and without anything from elsewhere.

run folder -> records, trials -> sections of blocks -> templates -> page
"""
