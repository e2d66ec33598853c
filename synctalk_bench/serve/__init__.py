"""A web server for this computer alone: run folders with their reports, and studies that hand answers in."""
