from django.urls import path

from warmup import pages

urlpatterns = [
    path("warm-up/", pages.warm_up, name="warm-up"),
    path("warm-up/join/", pages.join, name="warm-up-join"),
    path("warm-up/<int:pk>/leave/", pages.leave, name="warm-up-leave"),
]
