"""The sources: `Source` is what they promise; one module for each API."""
