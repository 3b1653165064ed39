"""The stage of one run: a scenario, its faults, and the real engine between them."""
