"""How every bundled checkpoint was made: ``python -m data.training NAME``."""
