"""The content-addressed store: what is in it, how it is written, who may write."""
