"""What goes into a sink."""
