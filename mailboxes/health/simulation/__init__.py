"""Health in simulated time, on the code that runs in production (SPEC X8). Pure."""
