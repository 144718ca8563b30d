"""The live page: a server on this machine alone, and one static page that shows what it is told."""
