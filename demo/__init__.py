"""The demo: three workspaces on sandbox providers. Beside config at the top: it may import every room."""
