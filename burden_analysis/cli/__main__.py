"""`python -m burden_analysis.cli` is `burden`."""

from burden_analysis.cli.main import main

main()
