"""Raw video to subject folder, one file a step."""
