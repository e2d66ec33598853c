"""Running a plan: order, devices, events, interruption."""
