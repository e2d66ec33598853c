"""SyncTalk's tri-plane head field: networks, occupancy, sampling, losses and the training loop (spec C.4 - H.1)."""
