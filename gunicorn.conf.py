"""Read by gunicorn by itself when it is started in this folder (docs/settings.md)."""

worker_class = "config.web.SteadyWorker"
threads = 16
