"""The page that shows what was seen of a subject: one HTML file that needs nothing else."""
