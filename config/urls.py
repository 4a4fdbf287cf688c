from django.contrib import admin
from django.urls import include, path

from mailboxes.admin.accounts import own_password

urlpatterns = [
    path("admin/password_change/", admin.site.admin_view(own_password, cacheable=True)),  # before Django's of this name
    path("admin/", admin.site.urls),
    path("", include("campaigns.urls")),
    path("", include("warmup.urls")),
    path("", include("mailboxes.pages.urls")),
]
