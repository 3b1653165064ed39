"""Whole pulls of people from the fake Attio, by this library and by others, each a process of its own."""
