"""Metrics, one a file. plugin.py declares them, configs.py holds their options, front_end.py decodes frames for all."""
