"""`python -m aigw_compile` is `aigw-compile`."""

from aigw_compile.cli import main

main()
