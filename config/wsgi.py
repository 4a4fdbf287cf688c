import os

from django.core.wsgi import get_wsgi_application

from mailboxes.production import refuse_bad_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
refuse_bad_settings()
