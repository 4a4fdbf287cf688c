"""Loopback mail, DNS and OAuth providers whose faults can be switched while they run. For the demo, tests and
benchmarks; never imported by production code."""
