"""Many runs of one scenario: sweep (Monte Carlo)."""
