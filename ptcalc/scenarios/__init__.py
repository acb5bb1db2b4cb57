"""Many scenarios of one workload: the evaluation behind sweeps, limits and uncertainty."""
