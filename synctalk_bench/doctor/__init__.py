"""What a machine can do for a run and what stands in its way, each with what to type (``synctalk-bench doctor``)."""
