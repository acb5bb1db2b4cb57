"""Touched memory to page tables: pure functions over NumPy arrays, which print nothing."""
