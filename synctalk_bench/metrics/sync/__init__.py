"""LSE-D and LSE-C: how well lips and sound go together, as SyncNet judges it (metrics spec 9)."""
