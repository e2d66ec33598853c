"""A sample plugin for synctalk-bench."""
