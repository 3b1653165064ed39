"""`python -m syncfsm.cli`: the command line without the installed script."""

from syncfsm.cli import main

main(prog_name="syncfsm")
