"""Between a rule and its devices: launch lines, msrun, device slots, Slurm ranks."""
