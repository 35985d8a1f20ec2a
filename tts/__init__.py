"""Test-time scaling, orchestrated."""
