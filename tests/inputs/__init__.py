"""Rows of tests/test_inputs_table.py, a module a group of kinds."""
