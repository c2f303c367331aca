"""What is installed on this machine and what is missing: each thing tried, not just looked up."""
