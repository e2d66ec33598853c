"""The pretrained experts and picture tools that prepare and the metrics share."""
