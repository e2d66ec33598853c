"""Where tasks run: in this process, in one process a device, on a Ray cluster, as jobs of a SLURM cluster."""
