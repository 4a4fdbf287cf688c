"""Gunicorn reads this where it is started in this folder, or told `--config gunicorn.conf.py` (docs/production.md)."""

worker_class = "config.web.SteadyWorker"
threads = 16
logger_class = "config.accesslog.KeylessLogger"
# Newer versions open a socket in the home directory by which they take orders: systemd gives them here.
control_socket_disable = True
