"""What the tests of the running services share; one module per subject."""
