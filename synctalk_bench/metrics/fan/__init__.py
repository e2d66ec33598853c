"""Landmarks by FAN, as the published LMD finds them."""
