"""`syncfsm log`: a module for each command of the group."""
