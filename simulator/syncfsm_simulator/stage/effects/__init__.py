"""What each fault does: for each port what comes to it, what happens there as a rule, and what else may."""
