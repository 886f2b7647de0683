"""How every bundled checkpoint was made: ``python -m helpers.training NAME``."""
