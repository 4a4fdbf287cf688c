from django.urls import path

from campaigns import public

urlpatterns = [
    path("unsubscribe/<str:token>/", public.unsubscribe, name="unsubscribe"),
    path("opened/<str:token>.gif", public.opened, name="opened"),
]
