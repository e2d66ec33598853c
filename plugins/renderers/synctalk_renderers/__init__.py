"""Renderers of synctalk-bench: ``triplane``, the head field of SyncTalk in plain PyTorch."""
