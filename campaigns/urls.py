from django.urls import path

from campaigns import public
from campaigns.pages import campaign, editing, importing, listing, suppressed

urlpatterns = [
    path("campaigns/", listing.campaigns, name="campaigns"),
    path("campaigns/new/", editing.new, name="campaign-new"),
    path("campaigns/suppressed/", suppressed.suppressed, name="suppressed"),
    path("campaigns/<int:pk>/", campaign.campaign, name="campaign"),
    path("campaigns/<int:pk>/edit/", editing.edit, name="campaign-edit"),
    path("campaigns/<int:pk>/start/", campaign.start, name="campaign-start"),
    path("campaigns/<int:pk>/pause/", campaign.pause, name="campaign-pause"),
    path("campaigns/<int:pk>/leads/<int:lead>/gone/", campaign.lead_gone, name="lead-gone"),
    path("campaigns/<int:pk>/leads/<int:lead>/go-on/", campaign.lead_goes_on, name="lead-goes-on"),
    path("campaigns/<int:pk>/leads/", importing.leads, name="campaign-leads"),
    path("unsubscribe/<str:token>/", public.unsubscribe, name="unsubscribe"),
    path("opened/<str:token>.gif", public.opened, name="opened"),
]
