"""A workload laid out in address spaces: plans of segments, addresses, rows, VMAs."""
