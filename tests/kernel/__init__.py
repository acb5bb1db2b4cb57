"""Tests that map memory for real and compare the running kernel's counters with the prediction."""
