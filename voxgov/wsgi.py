"""The WSGI application that gunicorn serves."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from voxgov.patience import patient

application = patient(get_wsgi_application(), settings.VOXGOV_BODY_SECONDS)
