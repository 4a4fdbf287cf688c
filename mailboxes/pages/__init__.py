"""The customers' pages: server-rendered, htmx for live parts, nothing from outside (SPEC U1 to U6, R1 to R8)."""
