"""`python -m stages` is `anyword`."""

from stages.cli import main

main()
