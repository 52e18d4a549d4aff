"""Reports: pure functions of a result, and nothing that they print is computed anywhere else."""
